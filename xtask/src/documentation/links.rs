//! Links between files of the repository.

use super::page::{Page, files};
use crate::run::root;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

/// Where a link to a file that is no page of the book leads: links of the book must not leave it.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/");

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut pages = HashMap::new();
    let mut faults = Vec::new();
    for file in files(root()) {
        let links = pages.entry(file.clone()).or_insert_with(|| Page::read(&file)).links.clone();
        for (line, link) in links {
            if let Err(fault) = check(&file, &link, &mut pages) {
                faults.push(format!("{}:{line}: `{link}`: {fault}", shown(&file)));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(pages.len() > 10, "the documentation was found");
}

#[test]
fn every_page_of_the_documentation_is_in_the_book() {
    let docs = root().join("docs");
    let summary = Page::read(&docs.join("SUMMARY.md"));
    let listed: Vec<_> = summary.links.iter().map(|(_, link)| docs.join(link)).collect();
    for page in files(&docs).iter().filter(|page| !page.ends_with("SUMMARY.md")) {
        assert!(listed.contains(page), "docs/SUMMARY.md: expected a line for {}", shown(page));
    }
}

fn check(file: &Path, link: &str, pages: &mut HashMap<PathBuf, Page>) -> Result<(), String> {
    let in_repository = link
        .strip_prefix(REPOSITORY)
        .and_then(|rest| rest.strip_prefix("blob/main/").or_else(|| rest.strip_prefix("tree/main/")));
    // Other places on the web are not asked; `a::b` is for rustdoc, which checks it.
    if in_repository.is_none() && (link.contains("://") || link.starts_with("mailto:") || link.contains("::"))
    {
        return Ok(());
    }
    let (path, anchor) =
        in_repository.unwrap_or(link).split_once('#').unwrap_or((in_repository.unwrap_or(link), ""));
    let folder = if in_repository.is_some() { root() } else { file.parent().unwrap_or(root()) };
    let found = if path.is_empty() { file.to_owned() } else { plain(&folder.join(path)) };
    if !found.exists() {
        return Err(format!("there is no {}", shown(&found)));
    }
    let docs = root().join("docs");
    if in_repository.is_none() && file.starts_with(&docs) && !found.starts_with(&docs) {
        return Err(format!("leaves the book; write {REPOSITORY}blob/main/{}", shown(&found)));
    }
    if anchor.is_empty() || found.extension().is_none_or(|extension| extension != "md") {
        return Ok(());
    }
    let page = pages.entry(found.clone()).or_insert_with(|| Page::read(&found));
    match page.anchors.iter().any(|known| known == anchor) {
        true => Ok(()),
        false => Err(format!(
            "there is no such heading in {}; there are {}",
            shown(&found),
            page.anchors.join(", ")
        )),
    }
}

/// Without `.` and `..`, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
        plain
    })
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn what_leads_nowhere_is_told() {
    let readme = root().join("README.md");
    let check = |link: &str| check(&readme, link, &mut HashMap::new());
    for good in [
        "docs/running.md",
        "docs/running.md#devices",
        "#installation-is-not-checked-here-::",
        "https://example.org/x",
    ] {
        assert_eq!(check(good), Ok(()));
    }
    assert_eq!(check(&format!("{REPOSITORY}blob/main/docs/running.md#devices")), Ok(()));
    assert_eq!(check("docs/missing.md"), Err("there is no docs/missing.md".into()));
    assert!(
        check("docs/running.md#missing").is_err_and(|fault| fault.contains("there are running-it, devices"))
    );
    assert!(check(&format!("{REPOSITORY}blob/main/missing")).is_err());
    let book = root().join("docs/running.md");
    let fault = super::links::check(&book, "../README.md", &mut HashMap::new());
    assert_eq!(fault, Err(format!("leaves the book; write {REPOSITORY}blob/main/README.md")));
}
