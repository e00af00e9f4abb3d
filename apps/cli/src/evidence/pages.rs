//! A page of headings, sentences and tables, written as Markdown or as HTML. What comes from elsewhere is escaped in
//! both; the HTML stands alone: no script, no link, nothing to be fetched.

use std::fmt::Write;

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    title: String,
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
enum Block {
    Heading(String),
    Text(String),
    List(Vec<String>),
    Table(Vec<String>, Vec<Vec<String>>),
}

impl Page {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new() }
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Heading(text.into()));
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds a list, unless it is empty.
    pub fn list(&mut self, items: Vec<String>) {
        if !items.is_empty() {
            self.blocks.push(Block::List(items));
        }
    }

    /// Adds a table, unless it is empty.
    pub fn table<const N: usize>(&mut self, head: [&str; N], rows: Vec<[String; N]>) {
        if !rows.is_empty() {
            let rows = rows.into_iter().map(Vec::from).collect();
            self.blocks.push(Block::Table(head.map(str::to_owned).into(), rows));
        }
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n", in_markdown(&self.title));
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| in_markdown(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        for block in &self.blocks {
            text.push('\n');
            match block {
                Block::Heading(heading) => text.push_str(&format!("## {}\n", in_markdown(heading))),
                Block::Text(sentences) => text.push_str(&format!("{}\n", in_markdown(sentences))),
                Block::List(items) => {
                    text.extend(items.iter().map(|item| format!("- {}\n", in_markdown(item))));
                }
                Block::Table(head, rows) => {
                    text.push_str(&row(head));
                    text.push_str(&format!("|{}\n", " --- |".repeat(head.len())));
                    text.extend(rows.iter().map(|cells| row(cells)));
                }
            }
        }
        text
    }

    /// As HTML.
    pub fn html(&self) -> String {
        let title = in_html(&self.title);
        let mut text = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        let cells = |cells: &[String], tag: &str| {
            let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", in_html(cell)));
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        for block in &self.blocks {
            match block {
                Block::Heading(heading) => text.push_str(&format!("<h2>{}</h2>\n", in_html(heading))),
                Block::Text(sentences) => text.push_str(&format!("<p>{}</p>\n", in_html(sentences))),
                Block::List(items) => {
                    let items = items.iter().map(|item| format!("<li>{}</li>\n", in_html(item)));
                    text.push_str(&format!("<ul>\n{}</ul>\n", items.collect::<String>()));
                }
                Block::Table(head, rows) => {
                    let rows: String = rows.iter().map(|row| cells(row, "td")).collect();
                    text.push_str(&format!("<table>\n{}{rows}</table>\n", cells(head, "th")));
                }
            }
        }
        text.push_str("</body>\n</html>\n");
        text
    }
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em;color:#111}\
    table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #bbb;padding:.25em .6em;text-align:left;\
    vertical-align:top;overflow-wrap:anywhere}th{background:#eee}";

fn in_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if is_hidden(c) => _ = write!(escaped, "(U+{:04X})", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

fn in_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if is_hidden(c) => _ = write!(escaped, "(U+{:04X})", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Characters that are not seen, or that change how others are: they are named instead.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x2069 | 0xfeff | 0xe0000..=0xe007f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_can_neither_become_markup_nor_hide() {
        let mut page = Page::new("a<b");
        page.table(["x"], vec![["</td><script>alert(1)</script>|\n**b**\u{202e}\"".to_owned()]]);
        page.list(vec!["[link](http://a)".into()]);
        let html = page.html();
        assert!(html.contains("&lt;/td&gt;&lt;script&gt;") && !html.contains("<script"), "{html}");
        assert!(html.contains("(U+202E)&quot;") && html.contains("(U+000A)"), "{html}");
        let markdown = page.markdown();
        assert!(
            markdown.contains("\\<script\\>alert(1)") && markdown.contains("\\|(U+000A)\\*\\*b"),
            "{markdown}"
        );
        assert!(markdown.contains("\\[link\\](http://a)") && markdown.contains("# a\\<b\n"), "{markdown}");
    }
}
