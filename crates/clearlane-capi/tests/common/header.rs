//! The header's declarations, read from its text.

/// What the header declares.
#[derive(Debug, Default)]
pub(crate) struct Header {
    pub(crate) functions: Vec<Function>,
    pub(crate) structs: Vec<Struct>,
    /// Names and values.
    pub(crate) constants: Vec<(String, String)>,
    /// Names of types of the header's own for numbers and callbacks, and what they stand for.
    pub(crate) types: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) result: String,
    pub(crate) name: String,
    pub(crate) parameters: Vec<Variable>,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Vec<Variable>,
}

/// A parameter or a field: its type, without spaces that do not matter, and its name.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Header {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(super::build::here().join("include/clearlane.h")).unwrap();
        let mut header = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once(' ')) {
            if !name.contains('(') {
                header.constants.push((name.to_owned(), value.to_owned()));
            }
        }
        let mut rest = code(&text);
        while let Some(end) = end(&rest) {
            let declaration: String = rest.drain(..=end).collect();
            header.add(declaration.trim_end_matches(';').trim());
        }
        header
    }

    fn add(&mut self, declaration: &str) {
        let declaration = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
        let (before, rest) = declaration.split_once(['(', '{']).unwrap_or((&declaration, ""));
        if let Some(name) = before.strip_prefix("typedef struct ") {
            if let Some((fields, _)) = rest.rsplit_once('}') {
                let fields = fields.split(';').map(str::trim).filter(|field| !field.is_empty());
                self.structs.push(Struct { name: name.trim().to_owned(), fields: fields.map(variable).collect() });
            }
        } else if let Some(kind) = before.strip_prefix("typedef ") {
            if let Some((name, parameters)) = rest.strip_prefix('*').and_then(|rest| rest.split_once(')')) {
                self.types.push((name.to_owned(), format!("{kind}(*){parameters}")));
            } else {
                let Variable { kind, name } = variable(kind);
                self.types.push((name, kind));
            }
        } else if let Some((parameters, _)) = rest.rsplit_once(')') {
            let Variable { kind, name } = variable(before);
            let parameters = parameters.split(',').map(str::trim).filter(|parameter| *parameter != "void");
            self.functions.push(Function { result: kind, name, parameters: parameters.map(variable).collect() });
        }
    }
}

/// The text without comments and directives, and without the braces of `extern "C"`.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let lines = lines.filter(|line| !line.starts_with('#') && !line.starts_with("extern") && *line != "}");
    lines.collect::<Vec<_>>().join(" ")
}

/// Where the first declaration ends: at a semicolon that is not within braces.
fn end(text: &str) -> Option<usize> {
    let mut depth = 0;
    text.char_indices().find_map(|(at, character)| {
        depth += i32::from(character == '{') - i32::from(character == '}');
        (character == ';' && depth == 0).then_some(at)
    })
}

/// `const struct clearlane_port *port` and the like.
fn variable(text: &str) -> Variable {
    let (text, array) = text.split_once('[').map_or((text, String::new()), |(text, rest)| (text, format!("[{rest}")));
    let at = text.rfind(|character: char| !character.is_alphanumeric() && character != '_').map_or(0, |at| at + 1);
    let kind = text[..at].trim().replace("struct ", "") + &array;
    Variable { kind, name: text[at..].to_owned() }
}
