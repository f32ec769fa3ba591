//! Names of a mesh's where the mesh does not read them: misspelt, of the wrong sort, or on the wrong
//! object.

use super::object::Object;
use super::pod::Pod;
use super::{Mesh, span};
use crate::import::Given;
use crate::import::general::{GeneralReason, GeneralRemark, Sort};
use crate::import::report::Report;
use crate::import::words::misspelt;

/// The names of annotations and labels that a mesh gives a meaning to.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// The domains of its names: `istio.io` stands for those below it, too.
    pub(crate) domains: &'static [&'static str],
    /// Annotations of a pod that decide about its traffic.
    pub(crate) annotations: &'static [&'static str],
    /// Labels of a pod that do.
    pub(crate) labels: &'static [&'static str],
    /// Annotations and labels that a namespace may have for its pods.
    pub(crate) namespace: &'static [&'static str],
    /// As which sort it has them; `None` for either.
    pub(crate) namespace_sort: Option<Sort>,
    /// As which sort pods take these from their namespace, where they have none themselves; `None` if the
    /// mesh has rules of its own for that.
    pub(crate) inherited: Option<Sort>,
    /// Names in its domains that have nothing to do with what is captured. One that ends with `/` or
    /// `-` stands for all that begin so.
    pub(crate) unrelated: &'static [&'static str],
}

impl Vocabulary {
    fn of(&self, sort: Sort) -> &'static [&'static str] {
        match sort {
            Sort::Annotation => self.annotations,
            Sort::Label => self.labels,
        }
    }

    fn is_unrelated(&self, name: &str) -> bool {
        let is_it = |known: &&str| {
            *known == name || (known.ends_with(['/', '-']) && name.starts_with(known))
        };
        self.unrelated.iter().any(is_it)
    }

    fn is_own(&self, name: &str) -> bool {
        let Some((domain, _)) = name.split_once('/') else { return false };
        self.domains.iter().any(|own| {
            domain.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    /// The name that may have been meant: one a letter or two away, or with the same words in another
    /// domain of the mesh's or in none.
    fn meant(&self, name: &str) -> Option<&'static str> {
        let known = || self.annotations.iter().chain(self.labels).copied();
        let local = |name: &str| -> String {
            let last = name.rsplit('/').next().unwrap_or_default();
            last.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
        };
        let same = || {
            let words = local(name);
            let is_ours = self.is_own(name) || (!name.contains('/') && words.len() >= 12);
            known().find(|known| is_ours && local(known) == words)
        };
        misspelt(name, known()).or_else(same)
    }
}

/// Notes the stray names of a pod's own annotations and labels.
pub(super) fn note<R, M>(pod: &Pod<'_>, mesh: &Mesh, report: &mut Report<R, M>)
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    let words = &mesh.vocabulary;
    for (sort, texts) in [(Sort::Annotation, &pod.annotations), (Sort::Label, &pod.labels)] {
        for (&name, &value) in texts {
            if words.of(sort).contains(&name) || words.is_unrelated(name) {
                continue;
            }
            let given = Given::field(name, value);
            if words.of(sort.other()).contains(&name) {
                report.note(&given, GeneralRemark::OtherSort { mesh: mesh.title, sort });
                continue;
            }
            let nearest = words.meant(name).map(str::to_owned);
            if nearest.is_some() || words.is_own(name) {
                report.note(&given, GeneralRemark::NotAnOption { nearest });
            }
        }
    }
}

/// Notes the names that an object has itself, and that belong to a pod.
pub(super) fn note_outer<R, M>(object: &Object<'_>, mesh: &Mesh, report: &mut Report<R, M>)
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    let template = object.template();
    if template.is_some_and(|template| template.path.is_empty()) {
        return;
    }
    let words = &mesh.vocabulary;
    let is_namespace = object.kind() == "Namespace";
    for written in [Sort::Annotation, Sort::Label] {
        for entry in object.node["metadata"][written.key()].entries() {
            let name = entry.key.as_str();
            let given = Given::field(name, entry.value.as_str().unwrap_or_default());
            let at = span(object.file, entry.key_at);
            let mesh = mesh.title;
            if is_namespace && words.namespace.contains(&name) {
                if words.namespace_sort == Some(written.other()) {
                    let remark = GeneralRemark::OtherSort { mesh, sort: written };
                    report.at(at, |report| report.note(&given, remark));
                }
                continue;
            }
            let sorts = [written, written.other()];
            let Some(sort) = sorts.into_iter().find(|sort| words.of(*sort).contains(&name)) else {
                continue;
            };
            let belongs = match template {
                Some(template) => format!("{}metadata.{}", template.path, sort.key()),
                None => format!("metadata.{} of its pods", sort.key()),
            };
            let remark =
                GeneralRemark::OtherObject { mesh, kind: object.kind().to_owned(), belongs };
            report.at(at, |report| report.note(&given, remark));
        }
    }
}
