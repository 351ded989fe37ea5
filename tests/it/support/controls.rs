//! What a browser would send of a page's form: its controls as they stand there, filled in like a person does.

use super::portal::Browser;

/// The controls of the page's form with parameters, without its token, with these texts typed into them. One that is not there can't be
/// filled in.
#[track_caller]
pub(crate) fn filled(browser: &Browser, typed: &[(&str, &str)]) -> Vec<(String, String)> {
    let page = &browser.page.text;
    let (_, form) = page.split_once("data-live").unwrap_or_else(|| panic!("no such form: {page}"));
    let form = form.split_once("</form>").map_or(form, |(form, _)| form);
    let mut controls = controls(form);
    controls.retain(|(name, _)| name != "csrf");
    for (name, text) in typed {
        let found = controls.iter_mut().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("there is no field {name} on {page}")).1 = (*text).to_owned();
    }
    controls
}

/// Sends the form of that address, filled in, with the fields of `more`: boxes that are ticked, and the button that is pressed.
pub(crate) async fn send(browser: &mut Browser, address: &str, typed: &[(&str, &str)], more: &[(&str, &str)]) {
    let page = browser.page.text.clone();
    let mark = format!("action=\"{address}\"");
    let (_, form) = page.split_once(&mark).unwrap_or_else(|| panic!("no form of {address}: {}", browser.words()));
    let form = form.split_once("</form>").map_or(form, |(form, _)| form);
    let mut all = controls(form);
    all.retain(|(name, _)| name != "csrf");
    for (name, text) in typed {
        let found = all.iter_mut().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("there is no field {name} on {page}")).1 = (*text).to_owned();
    }
    for (name, value) in more {
        assert!(form.contains(&format!("name=\"{name}\"")), "there is no field {name} on {page}");
        // One of several choices is made.
        all.retain(|(known, _)| known != name || form.contains(&format!("type=\"checkbox\" name=\"{name}\"")));
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.submit(address, &all).await;
}

/// Presses a button of the form: its name and value go with what is filled in.
pub(crate) async fn press(browser: &mut Browser, address: &str, button: (&str, &str), typed: &[(&str, &str)]) {
    let mark = format!("name=\"{}\" value=\"{}\"", button.0, button.1);
    assert!(browser.page.text.contains(&mark), "no button {mark} on {}", browser.page.text);
    let mut all = filled(browser, typed);
    all.push((button.0.to_owned(), button.1.to_owned()));
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    browser.submit(address, &all).await;
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(plain(rest.split_once('"')?.0))
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn controls(form: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), form);
    let mut select: Option<(String, Option<String>, Option<String>)> = None;
    while let Some((tag, after)) = rest.split_once('<').and_then(|(_, from)| from.split_once('>')) {
        rest = after;
        match tag.split(' ').next().unwrap_or_default() {
            "input" => {
                let radio = tag.contains(" type=\"radio\"") || tag.contains(" type=\"checkbox\"");
                if !radio || tag.contains(" checked") {
                    found
                        .extend(attribute(tag, "name").map(|name| (name, attribute(tag, "value").unwrap_or_default())));
                }
            }
            "textarea" => {
                let (text, after) = after.split_once("</textarea>").expect("its end");
                rest = after;
                let text = plain(text.strip_prefix('\n').unwrap_or(text)).replace('\n', "\r\n");
                found.extend(attribute(tag, "name").map(|name| (name, text)));
            }
            "select" => select = attribute(tag, "name").map(|name| (name, None, None)),
            "option" => {
                if let Some((_, first, chosen)) = &mut select {
                    let value = attribute(tag, "value");
                    if tag.contains(" selected") {
                        chosen.clone_from(&value);
                    }
                    *first = first.take().or(value);
                }
            }
            "/select" => {
                found.extend(select.take().map(|(name, first, chosen)| (name, chosen.or(first).unwrap_or_default())))
            }
            _ => {}
        }
    }
    found
}
