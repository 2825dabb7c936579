//! Self-contained HTML pages: one file, no script, nothing fetched; light and dark, on screens of any width and on A4.

pub(crate) mod chart;
pub(crate) mod faces;

use clearlane::Language;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The language of a page.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct LanguageArg {
    /// The report's language
    #[arg(long, value_enum, default_value = "en", requires = "report")]
    language: Code,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Code {
    /// English
    En,
    /// Simplified Chinese
    Zh,
}

impl LanguageArg {
    pub(crate) fn get(self) -> Language {
        match self.language {
            Code::En => Language::English,
            Code::Zh => Language::Chinese,
        }
    }
}

const STYLE: &str = include_str!("style.css");

/// A page of this title, which is its first heading too.
pub(crate) fn page(language: Language, title: &str, body: &Markup) -> String {
    let lang = match language {
        Language::Chinese => "zh-Hans",
        Language::English => "en",
    };
    let page = html! {
        (DOCTYPE)
        html lang=(lang) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Without an icon of its own, a browser asks a server for one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(chart::style())) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    page.into_string()
}

/// A table whose rows become cards where the screen is too narrow for them: each cell then shows its column's name.
pub(crate) fn table(columns: &[&str], numbers: &[usize], rows: impl IntoIterator<Item = Vec<Markup>>) -> Markup {
    let class = |column: usize| numbers.contains(&column).then_some("number");
    html! {
        table {
            thead { tr { @for (at, column) in columns.iter().enumerate() { th class=[class(at)] scope="col" { (column) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (at, (column, cell)) in columns.iter().zip(row).enumerate() {
                            td class=[class(at)] data-column=(column) { (cell) }
                        }
                    }
                }
            }
        }
    }
}
