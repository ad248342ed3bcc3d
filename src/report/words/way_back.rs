//! The answer about an older server on these tables, in words.

use crate::text::humanize::pluralize;
use crate::upgrade::way_back::compare::Effect;
use crate::upgrade::way_back::{Proof, Verdict, WayBack};

/// The kinds of differences, the worst first, each with its heading.
pub fn kinds(answer: &WayBack) -> [(Effect, String); 5] {
    let server = answer.server;
    [
        (Effect::Fails, format!("what {server} lacks")),
        (Effect::MayFail, format!("what may be refused to {server}")),
        (Effect::WrittenDifferently, format!("what {server} writes in another way")),
        (Effect::Unseen, format!("what {server} does not see")),
        (Effect::Harmless, format!("differences that {server} was tested with")),
    ]
}

/// The effect on the newer migrations.
pub fn ignored(answer: &WayBack) -> Option<String> {
    let count = answer.ignored.len();
    (count > 0).then(|| {
        format!(
            "prisma migrate deploy of {} ignores {} in the history: {}",
            answer.server,
            pluralize(count, "newer migration"),
            answer.ignored.join(", ")
        )
    })
}

/// The whole answer in a sentence.
pub fn sentence(answer: &WayBack) -> String {
    let WayBack { server, tables, .. } = answer;
    let count = |effect| answer.with_effect(effect).count();
    match (answer.verdict, answer.proof) {
        (Verdict::Runs, Proof::Seen) => format!(
            "{server} runs on these tables as they are: tested, the real server answered on the tables of \
             {tables} exactly as on its own"
        ),
        (Verdict::Runs, Proof::Derived) => {
            format!(
                "{server} runs on these tables as they are: derived, nothing that it reads or writes is \
                 different"
            )
        }
        (Verdict::Uncertain, _) => format!(
            "{server} finds all that it needs on these tables, but {} may be a problem for it: derived, \
             not tested",
            pluralize(count(Effect::MayFail), "change")
        ),
        (Verdict::Fails, _) => format!(
            "{server} does NOT run on these tables: derived, {} missing or different",
            match count(Effect::Fails) {
                1 => "1 thing that it needs is".to_owned(),
                more => format!("{more} things that it needs are"),
            }
        ),
    }
}
