//! Reads Rust source as the compiler's own tokens, so that comments and strings never look like code.
//!
//! Knows just enough for the rules: where functions begin and end, which lines belong to tests, which paths of the
//! standard library are named and which macros and methods are called, inside macros too. Refuses source that does
//! not lex. Resolves no names: a path behind an alias is seen where the alias is made.

use crate::Error;
use crate::repository::TextFile;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, counted from 1.
    pub line: usize,
    /// Lines from its `fn` to its closing brace, both included.
    pub lines: usize,
}

/// Something that the source does, with the line (counted from 1) where it does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// What: a path without spaces, the name of a macro with `!`, of a method with `.`, an attribute with `#`,
    /// a module with `mod`, or a keyword.
    pub what: String,
    /// Where.
    pub line: usize,
    /// Whether it stands inside an item marked `#[cfg(test)]` or `#[test]`.
    pub in_test: bool,
}

/// What a file holds, as far as the rules ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Every function with a body, however deep.
    pub functions: Vec<Function>,
    /// Every use of a path into `std`, a macro, a method, an attribute, a module, `async` or `await`.
    pub uses: Vec<Use>,
}

/// Lexes `file` and lists its contents.
///
/// # Errors
///
/// [`Error::Malformed`] when it is not Rust.
pub fn read(file: &TextFile) -> Result<Contents, Error> {
    let tokens: TokenStream = file
        .text
        .parse()
        .map_err(|cause| Error::Malformed { document: file.path.clone(), cause: format!("{cause}") })?;
    let mut contents = Contents::default();
    walk(tokens, file.is_test(), &mut contents);
    Ok(contents)
}

/// Visits one level of the token tree; `in_test` says whether all of it belongs to tests.
fn walk(tokens: TokenStream, in_test: bool, contents: &mut Contents) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut next_is_test = false;
    for (index, token) in tokens.iter().enumerate() {
        let rest = &tokens[index..];
        let before = index.checked_sub(1).map(|previous| &tokens[previous]);
        let in_test = in_test || next_is_test;
        for what in named(rest, before) {
            contents.uses.push(Use { what, line: line(token), in_test });
        }
        if let Some(function) = function(rest) {
            contents.functions.push(function);
        }
        match token {
            TokenTree::Group(group) => {
                if is_attribute(before, group) {
                    next_is_test |= marks_a_test(group);
                }
                walk(group.stream(), in_test, contents);
                if group.delimiter() == Delimiter::Brace {
                    next_is_test = false;
                }
            }
            TokenTree::Punct(point) if point.as_char() == ';' => next_is_test = false,
            _ => {}
        }
    }
}

/// Everything that the token at the front of `rest` names, together with the tokens after it.
fn named(rest: &[TokenTree], before: Option<&TokenTree>) -> Vec<String> {
    match &rest[0] {
        TokenTree::Group(group) if is_attribute(before, group) => {
            vec![format!("#{}", without_spaces(group.stream()))]
        }
        TokenTree::Ident(name) => {
            let name = name.to_string();
            let next = rest.get(1);
            if name == "std" && (is_punct(next, ':') || is_ident(next, "as")) {
                return paths(rest);
            }
            if name == "async" || name == "await" {
                return vec![name];
            }
            if name == "mod" {
                return next.map(|module| format!("mod {module}")).into_iter().collect();
            }
            if is_punct(next, '!') && matches!(rest.get(2), Some(TokenTree::Group(_))) {
                return vec![format!("{name}!")];
            }
            if is_punct(before, '.') && matches!(next, Some(TokenTree::Group(_))) {
                return vec![format!(".{name}")];
            }
            Vec::new()
        }
        _ => Vec::new(),
    }
}

/// The paths that begin with the first token, with every branch of a `{…}` spelled out.
fn paths(tokens: &[TokenTree]) -> Vec<String> {
    let name = tokens[0].to_string();
    if !(is_punct(tokens.get(1), ':') && is_punct(tokens.get(2), ':')) {
        return vec![name];
    }
    let longer = |tail: Vec<String>| tail.into_iter().map(|tail| format!("{name}::{tail}")).collect();
    match tokens.get(3) {
        Some(TokenTree::Ident(_)) => longer(paths(&tokens[3..])),
        Some(TokenTree::Punct(star)) if star.as_char() == '*' => longer(vec!["*".to_owned()]),
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let branches = inner.split(|token| is_punct(Some(token), ','));
            longer(branches.filter(|branch| !branch.is_empty()).flat_map(paths).collect())
        }
        _ => vec![name],
    }
}

/// The function whose `fn` is the first token, if it has a name and a body.
fn function(rest: &[TokenTree]) -> Option<Function> {
    let (TokenTree::Ident(keyword), TokenTree::Ident(name)) = (&rest[0], rest.get(1)?) else { return None };
    if keyword != "fn" {
        return None;
    }
    let body =
        rest[2..].iter().take_while(|token| !is_punct(Some(token), ';')).find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
            _ => None,
        })?;
    let first = keyword.span().start().line;
    let lines = body.span_close().end().line + 1 - first;
    Some(Function { name: name.to_string(), line: first, lines })
}

/// Whether `group` is the bracket of `#[…]` or `#![…]`.
fn is_attribute(before: Option<&TokenTree>, group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket && (is_punct(before, '#') || is_punct(before, '!'))
}

/// Whether an attribute makes the item that follows a test. `#[cfg(any(test, …))]` does not: it also ships.
fn marks_a_test(attribute: &Group) -> bool {
    let text = without_spaces(attribute.stream());
    text == "cfg(test)" || text == "test" || text.ends_with("::test") || text.contains("::test(")
}

fn without_spaces(tokens: TokenStream) -> String {
    tokens.to_string().split_whitespace().collect()
}

fn line(token: &TokenTree) -> usize {
    token.span().start().line
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(point)) if point.as_char() == character)
}

fn is_ident(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(text: &str) -> Contents {
        read(&TextFile::new("core/x/src/lib.rs", text)).expect("the sample is Rust")
    }

    fn names(text: &str) -> Vec<String> {
        contents(text).uses.into_iter().map(|used| used.what).collect()
    }

    #[test]
    fn a_function_is_measured_from_fn_to_its_closing_brace() {
        let found = contents(
            "struct S;\nimpl S {\n    fn long(\n        &self,\n    ) -> u8 {\n        1\n    }\n}\n",
        );
        assert_eq!(found.functions, [Function { name: "long".to_owned(), line: 3, lines: 5 }]);
    }

    #[test]
    fn functions_inside_macros_and_functions_are_seen_and_mere_types_are_not() {
        let found = contents("macro_rules! m { () => { fn a() { fn b() {} } } }\ntype F = fn(u8) -> u8;\n");
        let names: Vec<&str> = found.functions.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(contents("trait T { fn promised(); }\nstruct S {}").functions, []);
    }

    #[test]
    fn paths_into_the_standard_library_are_spelled_out() {
        let text = "use std::{fs, time::{Duration, Instant}};\nfn f() { std::env::var(\"X\"); ::std::net::lookup(); }";
        assert_eq!(
            names(text),
            ["std::fs", "std::time::Duration", "std::time::Instant", "std::env::var", "std::net::lookup"]
        );
        assert_eq!(names("use std::time::*;"), ["std::time::*"]);
        assert_eq!(names("use std as s;"), ["std"]);
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(
            names("// std::fs\nconst A: &str = \"std::fs .unwrap() todo!()\"; /* todo!() */"),
            [""; 0]
        );
    }

    #[test]
    fn calls_are_seen_inside_macros() {
        assert_eq!(names("fn f() { assert!(x.unwrap() == y.await); }"), ["assert!", ".unwrap", "await"]);
    }

    #[test]
    fn only_what_is_marked_as_test_counts_as_test() {
        let text = "#[cfg(test)]\nmod tests { fn f() { a.unwrap(); } }\nfn g() { b.unwrap(); }\n\
                    #[cfg(any(test, unix))]\nfn h() { c.unwrap(); }";
        let unwraps: Vec<bool> = contents(text)
            .uses
            .iter()
            .filter(|used| used.what == ".unwrap")
            .map(|used| used.in_test)
            .collect();
        assert_eq!(unwraps, [true, false, false]);
    }

    #[test]
    fn what_does_not_lex_is_refused() {
        let file = TextFile::new("x.rs", "fn f( {");
        assert!(matches!(read(&file), Err(Error::Malformed { .. })));
    }
}
