//! A page of Markdown: what it links to, and what can be linked to in it.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One file.
pub(super) struct Page {
    /// The destinations of its links and pictures, as they are written, with the line.
    pub(super) links: Vec<(usize, String)>,
    /// The anchors of its headings.
    pub(super) anchors: Vec<String>,
}

impl Page {
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Self {
        let (mut links, mut anchors) = (Vec::new(), Vec::new());
        let mut heading: Option<String> = None;
        let mut seen: HashMap<String, usize> = HashMap::new();
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
        for (event, place) in Parser::new_ext(text, options).into_offset_iter() {
            let line = 1 + text[..place.start].matches('\n').count();
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push((line, dest_url.into_string()));
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    links.extend(of_html(&html).map(|link| (line, link.to_owned())));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let name = anchor(&heading.take().unwrap_or_default());
                    let count = seen.entry(name.clone()).and_modify(|count| *count += 1).or_default();
                    anchors.push(if *count == 0 { name } else { format!("{name}-{count}") });
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                _ => {}
            }
        }
        Self { links, anchors }
    }
}

/// The anchor of a heading, on GitHub and in the book.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The values of the attributes that link.
fn of_html(html: &str) -> impl Iterator<Item = &str> {
    ["src=\"", "srcset=\"", "href=\""].into_iter().flat_map(move |attribute| {
        html.match_indices(attribute).filter_map(move |(at, _)| {
            let is_whole = html[..at].ends_with(char::is_whitespace);
            let value = html[at + attribute.len()..].split('"').next();
            value.filter(|_| is_whole)
        })
    })
}

/// Every Markdown file below a folder, without what is built and what is hidden, but with `.github`.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_ours = !name.starts_with('.') && name != "target" || name == ".github";
        match path.is_dir() {
            true if is_ours => files.extend(self::files(&path)),
            false if path.extension().is_some_and(|extension| extension == "md") => files.push(path),
            _ => {}
        }
    }
    files.sort();
    files
}

#[test]
fn links_and_anchors_are_found() {
    let page = Page::parse(
        "# `Whole` calls, *again*\n\n## Again\n## Again\n\n[a](b.md#c) and <https://example.org>\n\n<picture>\n\
         <source srcset=\"dark.svg\"><img data-src=\"no\" src=\"light.svg\">\n</picture>\n\n```\n[no](no.md)\n```\n\n[d]\n\n[d]: e.md\n",
    );
    assert_eq!(page.anchors, ["whole-calls-again", "again", "again-1"]);
    let links: Vec<_> = page.links.iter().map(|(line, link)| (*line, link.as_str())).collect();
    let expected =
        [(6, "b.md#c"), (6, "https://example.org"), (9, "light.svg"), (9, "dark.svg"), (16, "e.md")];
    assert_eq!(links, expected);
}
