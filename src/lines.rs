//! How text is broken into lines: at spaces, as far as a line goes.

/// Lines of at most `width` columns, as a terminal counts them. A word that is longer has one of its own.
pub(crate) fn at_spaces(width: usize) -> textwrap::Options<'static> {
    textwrap::Options::new(width)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
}
