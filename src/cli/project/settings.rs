//! `weir.toml`: what it says, and what is wrong with it.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use clap::ValueEnum;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::backend::nft;
use crate::cli::compile::{Emit, FormName, LayoutName};
use crate::diag::{Diagnostic, Hint, Problem, in_order};
use crate::import::nearest;
use crate::span::{FileId, Sources, Span};
use crate::{Layout, View};

/// What is said about the policies of a folder and of those below it.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Settings {
    /// Which files are policies, by their paths below the folder. `policies`.
    selected: GlobSet,
    /// Which of those are not. `policies`, with a `!` in front.
    left_out: GlobSet,
    /// The group file, below the folder. `group-file`; default: none.
    pub(in crate::cli) group_file: Option<PathBuf>,
    /// What goldens are of. `golden.views`; default: the nft script.
    pub(in crate::cli) views: Vec<View>,
    /// `golden.layout`; default: compact.
    pub(in crate::cli) layout: Layout,
    /// `golden.target`, `golden.form`, `golden.counters`, `golden.comments`.
    pub(in crate::cli) nft: nft::Options,
    /// Where goldens stand. `golden.folder` or `golden.root`.
    pub(in crate::cli) place: Place,
}

/// Where the goldens of a policy stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Place {
    /// In this folder, beside the policy.
    Beside(PathBuf),
    /// In this folder beside `weir.toml`, which has the folders of the policies in it.
    Below(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            selected: set(&["**/*.weir"]),
            left_out: GlobSet::empty(),
            group_file: None,
            views: vec![View::Nft],
            layout: Layout::default(),
            nft: nft::Options::default(),
            place: Place::Beside(PathBuf::from("golden")),
        }
    }
}

impl Settings {
    /// Reads what `text`, the `weir.toml` that is called `name`, says.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(super) fn read(name: &str, text: &str) -> Result<Self, (Sources, Vec<Diagnostic>)> {
        let mut sources = Sources::default();
        let file = sources.add(name, text);
        let text = sources.file(file).text.clone();
        let mut reading = Reading { file, found: Vec::new() };
        if text.len() > MOST_BYTES {
            let found = Problem::TooLarge { file: name.to_owned(), most: MOST_BYTES }.of(None);
            return Err((sources, vec![found]));
        }
        let settings = match DeTable::parse(&text) {
            Ok(table) => reading.settings(table.get_ref()),
            Err(error) => {
                let why = error.message().lines().next().unwrap_or_default().into();
                let at = error.span().unwrap_or(text.len()..text.len());
                reading.found.push(Problem::NotToml { why }.at(reading.span(&at), ""));
                Self::default()
            }
        };
        let found = in_order(reading.found);
        if found.is_empty() { Ok(settings) } else { Err((sources, found)) }
    }

    /// Whether the file at `path`, which is relative to the folder of the settings, is a policy.
    pub(in crate::cli) fn selects(&self, path: &Path) -> bool {
        self.selected.is_match(path) && !self.left_out.is_match(path)
    }

    /// Where goldens of the policies of `folder` stand; both are relative to the folder of the
    /// settings.
    pub(in crate::cli) fn goldens(&self, folder: &Path) -> PathBuf {
        match &self.place {
            Place::Beside(name) => folder.join(name),
            Place::Below(root) => root.join(folder),
        }
    }

    /// The folder of the policies whose goldens stand in `folder`; both are relative to the folder
    /// of the settings. `None` if no goldens stand there.
    pub(in crate::cli) fn policies_of(&self, folder: &Path) -> Option<PathBuf> {
        match &self.place {
            Place::Beside(name) if folder.ends_with(name) => {
                let depth = name.components().count();
                folder.ancestors().nth(depth).map(Path::to_owned)
            }
            Place::Beside(_) => None,
            Place::Below(root) => folder.strip_prefix(root).ok().map(Path::to_owned),
        }
    }
}

/// Most bytes of a `weir.toml`: what is made of it takes a few hundred times as many.
const MOST_BYTES: usize = 1 << 20;

const KEYS: &[&str] = &["policies", "group-file", "golden"];
const GOLDEN_KEYS: &[&str] =
    &["views", "layout", "target", "form", "counters", "comments", "folder", "root"];

/// A `weir.toml` while it is read.
struct Reading {
    file: FileId,
    found: Vec<Diagnostic>,
}

/// A key, and its value with its place.
type Value<'v, 'i> = &'v Spanned<DeValue<'i>>;

impl Reading {
    fn settings(&mut self, table: &DeTable<'_>) -> Settings {
        let mut settings = Settings::default();
        for (key, value) in table {
            match &**key.get_ref() {
                "policies" => self.policies(value, &mut settings),
                "group-file" => settings.group_file = self.path("group-file", value),
                "golden" => match value.get_ref() {
                    DeValue::Table(table) => self.golden(table, &mut settings),
                    _ => self.wrong("golden", value, "write a section: `[golden]`"),
                },
                found => self.unknown(found, &key.span(), KEYS),
            }
        }
        settings
    }

    fn golden(&mut self, table: &DeTable<'_>, settings: &mut Settings) {
        let mut folder = None;
        for (key, value) in table {
            match &**key.get_ref() {
                "views" => self.views(value, settings),
                "layout" => {
                    let name = self.choice::<LayoutName>("layout", value);
                    settings.layout = name.map_or(settings.layout, Layout::from);
                }
                "target" => self.target(value, settings),
                "form" => {
                    let name = self.choice::<FormName>("form", value);
                    settings.nft.form = name.map_or(settings.nft.form, nft::Form::from);
                }
                "counters" => self.yes_or_no("counters", value, &mut settings.nft.counters),
                "comments" => self.yes_or_no("comments", value, &mut settings.nft.comments),
                "folder" => {
                    folder = Some(key.span());
                    if let Some(path) = self.path("folder", value) {
                        settings.place = Place::Beside(path);
                    }
                }
                "root" => {
                    if let Some(path) = self.path("root", value) {
                        settings.place = Place::Below(path);
                    }
                    if let Some(folder) = &folder {
                        let instead = "remove `root` for goldens beside every policy, or `folder` \
                                       for all of them in one place"
                            .into();
                        let found = "given beside `folder`".to_owned();
                        let problem = Problem::NotASetting { key: "root", found, instead };
                        let at = self.span(&key.span());
                        self.found.push(problem.at(at, "").also(self.span(folder), "the other"));
                    }
                }
                found => self.unknown(found, &key.span(), GOLDEN_KEYS),
            }
        }
    }

    fn policies(&mut self, value: Value<'_, '_>, settings: &mut Settings) {
        const INSTEAD: &str = "write a list of files, folders and patterns below this folder: \
                               `policies = [\"policies\", \"!policies/drafts\"]`";
        let Some(texts) = self.texts("policies", value, INSTEAD) else { return };
        let (mut selected, mut left_out) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let mut selects = false;
        for (text, value) in texts {
            let (set, pattern) = match text.strip_prefix('!') {
                Some(pattern) => (&mut left_out, pattern),
                None => (&mut selected, text),
            };
            selects |= !text.starts_with('!');
            let pattern = pattern.trim_end_matches('/');
            if inside(pattern).is_none() && pattern != "." {
                self.wrong("policies", value, INSTEAD);
                continue;
            }
            for pattern in patterns(pattern) {
                match GlobBuilder::new(&pattern).literal_separator(true).build() {
                    Ok(glob) => drop(set.add(glob)),
                    Err(_) => self.wrong("policies", value, INSTEAD),
                }
            }
        }
        if let (Ok(selected), Ok(left_out)) = (selected.build(), left_out.build()) {
            if selects {
                settings.selected = selected;
            }
            settings.left_out = left_out;
        }
    }

    fn views(&mut self, value: Value<'_, '_>, settings: &mut Settings) {
        let names: Vec<_> = Emit::views().map(|(name, _)| format!("`\"{name}\"`")).collect();
        let instead = format!("write some of {}", names.join(", "));
        let Some(texts) = self.texts("views", value, &instead) else { return };
        let mut views = Vec::new();
        for (text, value) in texts {
            match Emit::views().find(|(name, _)| name == text) {
                Some((_, view)) if views.contains(&view) => {
                    self.wrong("views", value, "name each view once");
                }
                Some((_, view)) => views.push(view),
                None => self.wrong("views", value, &instead),
            }
        }
        if views.is_empty() {
            self.wrong("views", value, &instead);
        }
        settings.views = views;
    }

    fn target(&mut self, value: Value<'_, '_>, settings: &mut Settings) {
        let read = match value.get_ref() {
            DeValue::String(text) => crate::cli::compile::target(text),
            _ => Err("write the tool and its version: `nft=1.0.6`".to_owned()),
        };
        match read {
            Ok(target) => settings.nft.target = target,
            Err(why) => self.wrong("target", value, &why),
        }
    }

    fn yes_or_no(&mut self, key: &'static str, value: Value<'_, '_>, setting: &mut bool) {
        match value.get_ref() {
            DeValue::Boolean(yes) => *setting = *yes,
            _ => self.wrong(key, value, &format!("write `{key} = true` or `{key} = false`")),
        }
    }

    fn choice<T: ValueEnum>(&mut self, key: &'static str, value: Value<'_, '_>) -> Option<T> {
        let chosen = match value.get_ref() {
            DeValue::String(text) => T::from_str(text, false).ok(),
            _ => None,
        };
        if chosen.is_none() {
            self.wrong(key, value, &format!("write {}", names::<T>(" or ")));
        }
        chosen
    }

    /// A path below the folder of the settings.
    fn path(&mut self, key: &'static str, value: Value<'_, '_>) -> Option<PathBuf> {
        let path = match value.get_ref() {
            DeValue::String(text) => inside(text),
            _ => None,
        };
        if path.is_none() {
            let example = if key == "group-file" { "groups" } else { "golden" };
            let instead = format!(
                "write a path below the folder of this file, without `..`: `{key} = \"{example}\"`"
            );
            self.wrong(key, value, &instead);
        }
        path
    }

    /// The texts of a list, each with its place.
    fn texts<'v, 'i>(
        &mut self,
        key: &'static str,
        value: Value<'v, 'i>,
        instead: &str,
    ) -> Option<Vec<(&'v str, Value<'v, 'i>)>> {
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong(key, value, instead);
            return None;
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => texts.push((&**text, item)),
                _ => self.wrong(key, item, instead),
            }
        }
        Some(texts)
    }

    fn unknown(&mut self, found: &str, at: &std::ops::Range<usize>, known: &[&str]) {
        let near = nearest(found, known.iter().copied());
        let label = match near {
            Some(near) => Hint::meant(near, false),
            None if known == KEYS && GOLDEN_KEYS.contains(&found) => {
                "its place is in `[golden]`".into()
            }
            None if known == GOLDEN_KEYS && KEYS.contains(&found) => {
                "its place is above `[golden]`".into()
            }
            None => Hint::default(),
        };
        let mut list = String::new();
        for key in known {
            let _ = write!(list, "{}`{key}`", if list.is_empty() { "" } else { ", " });
        }
        let found = crate::diag::shown(found);
        let problem = Problem::UnknownKey { found, known: list.into() };
        self.found.push(problem.at(self.span(at), label));
    }

    fn wrong(&mut self, key: &'static str, value: Value<'_, '_>, instead: &str) {
        let found = match value.get_ref() {
            DeValue::String(text) => format!("`{}`", crate::diag::shown(text)),
            DeValue::Integer(_) | DeValue::Float(_) => "a number".to_owned(),
            DeValue::Boolean(_) => "true or false".to_owned(),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(items) if items.is_empty() => "an empty list".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a section".to_owned(),
        };
        let problem = Problem::NotASetting { key, found, instead: instead.into() };
        self.found.push(problem.at(self.span(&value.span()), ""));
    }

    fn span(&self, at: &std::ops::Range<usize>) -> Span {
        let offset = |at| u32::try_from(at).expect("the text has at most 64 MiB");
        Span { file: self.file, start: offset(at.start), end: offset(at.end) }
    }
}

/// `text` as a path that leads into a folder, and never out of it.
fn inside(text: &str) -> Option<PathBuf> {
    let path = Path::new(text);
    let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
    let is_safe = !text.is_empty() && !text.chars().any(|c| c.is_control() || c == '\\');
    (is_safe && path.components().all(is_normal)).then(|| path.to_owned())
}

/// The patterns that a file, a folder or a pattern stands for: itself, and what is in it.
fn patterns(text: &str) -> Vec<String> {
    match text {
        "." => vec!["**/*.weir".to_owned()],
        _ => vec![text.to_owned(), format!("{text}/**/*.weir")],
    }
}

/// The files that `patterns` are about.
fn set(patterns: &[&str]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(
            GlobBuilder::new(pattern).literal_separator(true).build().expect("it is a pattern"),
        );
    }
    set.build().expect("they are patterns")
}

/// What `T` is called, in backticks.
fn names<T: ValueEnum>(between: &str) -> String {
    let names = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let names: Vec<_> = names.map(|name| format!("`\"{}\"`", name.get_name())).collect();
    names.join(between)
}
