//! Every type that a program meets is shown at work: in an example of its own documentation, or of that of its crate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use syn::{Attribute, Expr, Item, Lit, Meta, UseTree, Visibility};

/// A crate's files, parsed.
struct Crate {
    name: &'static str,
    files: Vec<(PathBuf, syn::File)>,
    /// The code of every example that is compiled.
    examples: String,
}

impl Crate {
    fn read(name: &'static str) -> Self {
        let mut paths = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name).join("src"), &mut paths);
        let parse = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (path, file)
        };
        let files: Vec<_> = paths.into_iter().map(parse).collect();
        let examples = files.iter().flat_map(|(_, file)| docs_of(file)).map(|text| code(&text)).collect();
        Self { name, files, examples }
    }

    /// The names that some `pub use` of the crate gives.
    fn exported(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for item in self.files.iter().flat_map(|(_, file)| &file.items) {
            if let Item::Use(item) = item
                && matches!(item.vis, Visibility::Public(_))
                && !is_hidden(&item.attrs)
            {
                leaves(&item.tree, &mut names);
            }
        }
        names
    }

    /// Public structs, enums and traits, with their documentation. What a macro makes is not among them.
    fn types(&self) -> impl Iterator<Item = (String, String)> {
        self.files.iter().flat_map(|(_, file)| &file.items).filter_map(|item| {
            let (vis, attrs, ident) = match item {
                Item::Struct(item) => (&item.vis, &item.attrs, &item.ident),
                Item::Enum(item) => (&item.vis, &item.attrs, &item.ident),
                Item::Trait(item) => (&item.vis, &item.attrs, &item.ident),
                _ => return None,
            };
            let public = matches!(vis, Visibility::Public(_)) && !is_hidden(attrs);
            public.then(|| (ident.to_string(), text(attrs)))
        })
    }

    /// Exported types that no example shows.
    fn unshown(&self, exported: &BTreeSet<String>) -> Vec<String> {
        let words: BTreeSet<&str> = self.examples.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let shown = |name: &str, docs: &str| words.contains(name) || !code(docs).is_empty();
        let missing = self.types().filter(|(name, docs)| exported.contains(name) && !shown(name, docs));
        missing.map(|(name, _)| format!("{}: {name}", self.name)).collect()
    }
}

fn sources(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => sources(&path, paths),
            false if path.extension().is_some_and(|extension| extension == "rs") => paths.push(path),
            false => {}
        }
    }
}

fn is_hidden(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| match &attr.meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// The documentation in some attributes.
fn text(attrs: &[Attribute]) -> String {
    let line = |attr: &Attribute| match &attr.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Str(text) => Some(text.value() + "\n"),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attrs.iter().filter_map(line).collect()
}

/// The documentation of a file's module, of its items and of their methods.
fn docs_of(file: &syn::File) -> Vec<String> {
    let mut docs = vec![text(&file.attrs)];
    for item in &file.items {
        match item {
            Item::Impl(item) => docs.extend(item.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(method) => Some(text(&method.attrs)),
                _ => None,
            })),
            Item::Struct(item) => docs.push(text(&item.attrs)),
            Item::Enum(item) => docs.push(text(&item.attrs)),
            Item::Trait(item) => docs.push(text(&item.attrs)),
            Item::Fn(item) => docs.push(text(&item.attrs)),
            _ => {}
        }
    }
    docs
}

/// The code blocks that rustdoc compiles.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut fences = text.split("```");
    fences.next();
    // Every other part lies between two fences, and begins with the words behind the first of them.
    for block in fences.step_by(2) {
        let (words, lines) = block.split_once('\n').unwrap_or((block, ""));
        if matches!(words.trim(), "" | "no_run" | "compile_fail" | "should_panic") {
            code.push_str(lines);
        }
    }
    code
}

fn leaves(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => leaves(&path.tree, names),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string())),
        UseTree::Rename(rename) => drop(names.insert(rename.rename.to_string())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, names)),
        UseTree::Glob(_) => {}
    }
}

#[test]
fn every_public_type_is_shown_in_an_example() {
    let [facade, runtime, mut codegen, candle] =
        ["", "proxyattn-runtime", "proxyattn-codegen", "proxyattn-candle"].map(Crate::read);
    let mut missing = runtime.unshown(&runtime.exported().union(&facade.exported()).cloned().collect());
    missing.extend(candle.unshown(&candle.exported()));
    // Of codegen, what a configuration consists of. The rest is how kernels are made.
    codegen.files.retain(|(path, _)| {
        ["spec", "budget", "scorer"]
            .iter()
            .any(|folder| path.components().any(|part| part.as_os_str() == *folder))
    });
    missing.extend(codegen.unshown(&codegen.exported()));
    assert!(missing.is_empty(), "no example shows {missing:#?}");
}

#[test]
fn only_what_is_compiled_is_an_example() {
    let docs = "Words.\n```text\nView\n```\nMore.\n```no_run\nlet a = Plan;\n```\n```ignore\nTensor\n```\n";
    assert_eq!(code(docs), "let a = Plan;\n");
}
