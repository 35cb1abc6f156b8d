//! Whether all that a page can ask was asked.

use mailctl::rest::api::{Api, Step};

use crate::http::Asked;

/// All steps of a page, what is asked while waiting included.
pub fn steps(api: &Api) -> Vec<&Step> {
    let routes = api.routes.iter().flat_map(|route| {
        let lists = [Some(&route.find), Some(&route.get), Some(&route.set)];
        lists
            .into_iter()
            .chain([route.create.as_ref(), route.reset.as_ref()])
    });
    let mut all: Vec<&Step> = routes.flatten().flatten().collect();
    let waits = all.iter().filter_map(|step| Some(&step.wait.as_ref()?.ask));
    all.extend(waits.collect::<Vec<_>>());
    all
}

/// The requests of a page that none of `calls` is.
pub fn untried(api: &Api, calls: &[Asked]) -> Vec<String> {
    let requests = steps(api).into_iter().filter(|step| step.call.is_some());
    let untried = requests.filter(|step| !calls.iter().any(|asked| is(step, asked)));
    untried
        .map(|step| format!("{:?} {:?}", step.call, step.form))
        .collect()
}

fn is(step: &Step, asked: &Asked) -> bool {
    let call = step.call.as_deref().unwrap_or_default();
    let (method, path) = call.split_once(' ').expect("a call");
    let path = path.split('?').next().unwrap_or_default();
    // EC2 has one path; the form says what is asked.
    let action = step.form.as_ref().and_then(|form| form.get("Action"));
    method == asked.method
        && action.is_none_or(|action| asked.at("/Action").as_ref() == Some(action))
        && (path.starts_with("{+") || fits(path, &asked.path))
}

fn fits(template: &str, path: &[String]) -> bool {
    let parts: Vec<&str> = template.split('/').skip(1).collect();
    let same = |(part, given): (&&str, &String)| part.contains('{') || part == given;
    parts.len() == path.len() && parts.iter().zip(path).all(same)
}
