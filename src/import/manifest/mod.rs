//! Manifests of Kubernetes, to policies: pods of YAML or JSON texts, also those inside of other
//! objects.
//!
//! ```text
//!  texts ─► documents ─► objects ─┬─► pods ──► policies
//!           (node)       (object) ├─► namespaces
//!                                 └─► names that stand in the wrong place (stray)
//! ```

mod made;
mod node;
mod object;
mod pod;
mod stray;

pub(crate) use node::{NOTHING, Node, values};
pub(crate) use object::Object;
pub(crate) use pod::{Pod, arguments, environment, note_absent};
pub(crate) use stray::Vocabulary;

use made::Made;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::general::{GeneralReason, GeneralRemark};
use super::json::wrong_type;
use super::report::Report;
use super::{Context, Given, Imported, NoRules, Refused};
use crate::policy::{Comments, Kind};
use crate::span::{FileId, Sources, Span};

/// A mesh, as far as manifests have to do with it.
#[derive(Debug)]
pub(crate) struct Mesh {
    /// What policies are called whose pod has no name.
    pub(crate) name: &'static str,
    /// What messages call it.
    pub(crate) title: &'static str,
    /// The names that it gives a meaning to.
    pub(crate) vocabulary: Vocabulary,
    /// Kinds of objects that have a part of its own configuration.
    pub(crate) kinds: &'static [&'static str],
    /// Keys of its own configuration, where it stands alone.
    pub(crate) keys: &'static [&'static str],
}

/// What manifests hold.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    documents: Vec<(FileId, Node)>,
}

impl Manifest {
    /// The documents of `sources`. What cannot be read is a mistake.
    pub(crate) fn read<R, M: From<GeneralReason>>(
        sources: &Sources,
        report: &mut Report<R, M>,
    ) -> Self {
        let mut documents = Vec::new();
        for (file, source) in sources.with_ids() {
            match node::documents(&source.text) {
                Ok(nodes) => documents.extend(nodes.into_iter().map(|node| (file, node))),
                Err(reason) => {
                    let here = report.here.take();
                    if let GeneralReason::Unreadable { line, column, .. } = &reason {
                        report.here = sources.at(file, *line, *column);
                    }
                    report.fail(reason);
                    report.here = here;
                }
            }
        }
        Self { documents }
    }

    /// Whether a file has a document that could be an object.
    pub(crate) fn has_objects_of(&self, file: FileId) -> bool {
        self.documents.iter().any(|(of, node)| *of == file && node.is_object())
    }

    /// The objects, with those of lists in the place of these.
    pub(crate) fn objects(&self) -> Vec<Object<'_>> {
        let mut objects = Vec::new();
        for (file, node) in &self.documents {
            Object::add(*file, node, &mut objects);
        }
        objects
    }
}

/// The policies that `read` makes of the pods of manifests, each by itself: see [`policies`].
pub(crate) fn policies_of_each<R, M>(
    sources: &Sources,
    mesh: &Mesh,
    context: &Context,
    read: impl Fn(&Pod<'_>, &Context, &mut Report<R, M>) -> Result<Kind, NoRules>,
) -> Result<Imported<R>, Refused<R, M>>
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    policies(sources, mesh, context, |_, _| (), |(), pod, report| read(pod, context, report))
}

/// The policies that `read` makes, with what `prepare` makes of all objects, of the pods of manifests in YAML or JSON: of
/// several documents, of lists, and of anything with a pod template. A pod of which `read` has no policy is noted,
/// and so is a name of the mesh's that stands where the mesh does not read it.
pub(crate) fn policies<R, M, S>(
    sources: &Sources,
    mesh: &Mesh,
    context: &Context,
    prepare: impl FnOnce(&[Object<'_>], &mut Report<R, M>) -> S,
    mut read: impl FnMut(&S, &Pod<'_>, &mut Report<R, M>) -> Result<Kind, NoRules>,
) -> Result<Imported<R>, Refused<R, M>>
where
    R: From<GeneralRemark>,
    M: From<GeneralReason>,
{
    let mut report = Report::default();
    let manifest = Manifest::read(sources, &mut report);
    let objects = manifest.objects();
    let known = prepare(&objects, &mut report);
    let is_namespace = |object: &&Object<'_>| object.kind() == "Namespace";
    let namespaces: Namespaces<'_> = objects
        .iter()
        .filter(is_namespace)
        .filter_map(|object| Some((object.name()?, *object)))
        .collect();
    let mut made = Made::of(mesh);
    let mut pods = 0;
    for object in &objects {
        report.begin(object.name(), Some(object.place()));
        stray::note_outer(object, mesh, &mut report);
        let Some(pod) = object.pod(mesh, &namespaces, &mut report) else { continue };
        pods += 1;
        report.places = Rc::clone(&pod.places);
        report.about = pod.owner_name().map(str::to_owned);
        stray::note(&pod, mesh, &mut report);
        let mistakes = report.mistakes.len();
        match read(&known, &pod, &mut report) {
            Ok(_) if report.mistakes.len() > mistakes => report.comments = Comments::default(),
            Ok(kind) => made.add(kind, &pod, context, &mut report),
            Err(why) => report.remark(GeneralRemark::NoRules(why)),
        }
    }
    report.begin(None, None);
    if pods == 0 && report.mistakes.is_empty() {
        report.fail(GeneralReason::Nothing);
    }
    if objects.len() <= 1 {
        report.forget_about();
    }
    report.finish(made.policies)
}

/// The namespaces among the manifests, by name.
type Namespaces<'a> = BTreeMap<&'a str, Object<'a>>;

/// Refuses what should be a text in quotes.
pub(crate) fn refuse_text<R, M: From<GeneralReason>>(
    name: &str,
    node: &Node,
    report: &mut Report<R, M>,
) {
    let value = node.value();
    let given = Given::field(name, value.to_string());
    report.refuse(&given, wrong_type(&value, "text in quotes"));
}

/// Bytes of a file.
fn span(file: FileId, (start, end): node::Bytes) -> Span {
    Span { file, start, end }
}
