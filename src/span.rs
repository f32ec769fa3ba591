//! Where something was written: files, and byte ranges in them.

use std::fmt;

/// A source file, by its place in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// Bytes `start..end` of one file, on `char` boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl Span {
    /// The smallest span that covers `self` and `other`, which lie in the same file.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.file == other.file && self.start <= other.start && other.end <= self.end
    }

    /// The empty span before the first byte.
    #[must_use]
    pub fn before(self) -> Self {
        Self { end: self.start, ..self }
    }

    /// The empty span behind the last byte.
    #[must_use]
    pub fn behind(self) -> Self {
        Self { start: self.end, ..self }
    }
}

/// A value and where it was written.
///
/// Equality is the value's: two trees are equal if they say the same, wherever.
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub node: T,
    /// Where it was written.
    pub span: Span,
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T> Spanned<T> {
    /// `node`, written at `span`.
    pub const fn new(node: T, span: Span) -> Self {
        Self { node, span }
    }
}

/// The beginning of `text`: as many characters as are whole in its first `most` bytes.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let mut ends = (0..=most.min(text.len())).rev();
    ends.find_map(|end| text.get(..end)).unwrap_or_default()
}

/// One source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name it was asked for by; a path, usually.
    pub name: String,
    /// Its text, without a byte-order mark.
    pub text: String,
    /// Where each line begins.
    lines: Vec<u32>,
}

impl Source {
    /// Where each line begins, in bytes; a text without any has one, too.
    #[must_use]
    pub fn lines(&self) -> &[u32] {
        &self.lines
    }

    /// The line, from 0, that the byte `at` is in.
    #[must_use]
    pub fn row(&self, at: u32) -> usize {
        self.lines.partition_point(|start| *start <= at) - 1
    }
}

/// Every file that a compilation read, in the order in which it read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Most bytes a file may have, so that every offset fits a [`Span`] and a
    /// mistaken input (a disk image, say) is refused before it is parsed.
    pub const MAX_BYTES: usize = 64 * 1024 * 1024;

    /// One file.
    #[must_use]
    pub fn of(name: impl Into<String>, text: &str) -> Self {
        let mut sources = Self::default();
        sources.add(name, text);
        sources
    }

    /// Adds a file. A byte-order mark is dropped: it says nothing in UTF-8.
    ///
    /// The caller has checked [`Sources::MAX_BYTES`].
    pub fn add(&mut self, name: impl Into<String>, text: &str) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).expect("fewer files than 2^32"));
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let is_end = |byte: &u8| *byte == b'\n';
        // A file may be nothing but line ends, and a list that grows is there twice while it does.
        let mut lines = Vec::with_capacity(text.bytes().filter(is_end).count() + 1);
        let ends = (0..).zip(text.bytes()).filter(|(_, byte)| is_end(byte));
        lines.extend(std::iter::once(0).chain(ends.map(|(at, _): (u32, u8)| at + 1)));
        self.files.push(Source { name: name.into(), text, lines });
        id
    }

    /// Leaves the name of a file and nothing of its text, to which no span may lead.
    pub(crate) fn forget(&mut self, id: FileId) {
        let file = &mut self.files[id.0 as usize];
        (file.text, file.lines) = (String::new(), vec![0]);
    }

    /// The file.
    #[must_use]
    pub fn file(&self, id: FileId) -> &Source {
        &self.files[id.0 as usize]
    }

    /// Where the first file begins; `None` if there is no file.
    #[must_use]
    pub fn beginning(&self) -> Option<Span> {
        self.files.first().map(|_| Span { file: FileId(0), start: 0, end: 0 })
    }

    /// The files, in the order in which they were read.
    pub fn files(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// The files and what stands for them, in the order in which they were read.
    #[cfg(feature = "import-pod")]
    pub(crate) fn with_ids(&self) -> impl Iterator<Item = (FileId, &Source)> {
        (0..).map(FileId).zip(&self.files)
    }

    /// The place at a line and a column of a file, both from 1; `None` if there is none.
    #[cfg(feature = "import-pod")]
    pub(crate) fn at(&self, file: FileId, line: u64, column: u64) -> Option<Span> {
        let source = self.file(file);
        let start = *source.lines.get(usize::try_from(line).ok()?.checked_sub(1)?)?;
        let column = usize::try_from(column).ok()?.saturating_sub(1);
        let before = source.text[start as usize..].chars().take(column).map(char::len_utf8);
        let at = start + u32::try_from(before.sum::<usize>()).ok()?;
        Some(Span { file, start: at, end: at })
    }

    /// What the files are called, in the order in which they were read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Whether `span` lies in one of the files. A span of other sources may not.
    #[must_use]
    pub fn contains(&self, span: Span) -> bool {
        let file = self.files.get(span.file.0 as usize);
        file.is_some_and(|file| file.text.get(span.start as usize..span.end as usize).is_some())
    }

    /// The text at `span`.
    ///
    /// # Panics
    ///
    /// If the sources do not [contain](Self::contains) it, as all methods that take a span.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        &self.file(span.file).text[span.start as usize..span.end as usize]
    }

    /// Line and column of the first byte of `span`, both from 1; the column counts characters.
    #[must_use]
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let file = self.file(span.file);
        let row = file.row(span.start);
        let before = &file.text[file.lines[row] as usize..span.start as usize];
        (row + 1, before.chars().count() + 1)
    }

    /// `file:line:column`, which terminals and editors make clickable.
    #[must_use]
    pub fn place(&self, span: Span) -> Place<'_> {
        let (line, column) = self.line_column(span);
        Place { file: &self.file(span.file).name, line, column }
    }
}

/// A place in a source, for people. Displays as `file:line:column`, without control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place<'a> {
    /// The name of the file.
    pub file: &'a str,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = crate::diag::escape::on_one_line(self.file);
        write!(f, "{file}:{}:{}", self.line, self.column)
    }
}
