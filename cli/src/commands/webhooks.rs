//! `estop webhooks`, with the admin token.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use estop_protocol::envelope::Data;
use estop_protocol::webhooks::{
    ChangeWebhookRequest, CreateWebhookRequest, Deliveries, Delivery, DeliveryFailure, DeliveryState, NewWebhook,
    OneDelivery, OneWebhook, Webhook, Webhooks, WhyDisabled,
};

use super::RETRY_FOR;
use crate::args::{AddWebhookArgs, ChangeWebhookArgs, WebhooksCommand};
use crate::clock;
use crate::exit::Exit;
use crate::retry;
use crate::service::{Call, Failure, Response, Service};
use crate::table;
use crate::terminal::{self, sanitize, sanitize_json};

/// How long to wait until a test or a redelivery has been tried: the service gives a receiver 10 s, and sends six at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to go without asking meanwhile, at first and in the long run.
const POLL_DELAYS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// So much is shown of what a receiver answered when it fails; in characters.
const SHOWN_ANSWER: usize = 300;

/// An address is shorter than this; in bytes.
const LONGEST_INPUT: u64 = 64 * 1024;

pub fn webhooks(command: &WebhooksCommand, service: &Service) -> Result<Exit, Failure> {
    match command {
        WebhooksCommand::List { project, json } => {
            let response = get(service, format!("/api/projects/{project}/webhooks"))?;
            let list = response.read::<Data<Webhooks>>()?.data.webhooks;
            if *json {
                terminal::print(sanitize_json(&response.text));
            } else {
                print_webhooks(&list);
                list.iter().filter_map(how_to_mend).for_each(terminal::info);
            }
        }
        WebhooksCommand::Add(args) => add(args, service)?,
        WebhooksCommand::Change(args) => change(args, service)?,
        WebhooksCommand::Rotate { id, secret_only, json } => {
            let call = Call::new("POST", format!("/api/webhooks/{id}/rotate")).idempotent();
            let response = retry::send(service, &call, RETRY_FOR)?;
            let new = response.read::<Data<NewWebhook>>()?.data;
            let before =
                new.webhook.previous_secret_until.map(|until| format!("The one before is valid until {until}"));
            print_secret(&new, &response, *secret_only, *json, before.as_deref());
        }
        WebhooksCommand::Test { id, json } => {
            let call = Call::new("POST", format!("/api/webhooks/{id}/test"));
            return send(service, call, *json).map_err(|mut failure| {
                // The service says that it is switched off, and how its API switches it on.
                if failure.message.contains("switched off.") {
                    failure.message.push_str(&format!(" Here: `estop webhooks change {id} --on`"));
                }
                failure
            });
        }
        WebhooksCommand::Delete { id } => {
            let call = Call::new("DELETE", format!("/api/webhooks/{id}"));
            let response = retry::send(service, &call, RETRY_FOR)?;
            if response.status != 204 {
                return Err(response.refusal());
            }
            terminal::print(format!("Webhook {id} is deleted."));
        }
        WebhooksCommand::Deliveries { id, json } => {
            let response = get(service, format!("/api/webhooks/{id}/deliveries"))?;
            let list = response.read::<Data<Deliveries>>()?.data.deliveries;
            if *json {
                terminal::print(sanitize_json(&response.text));
            } else {
                print_deliveries(&list);
            }
        }
        WebhooksCommand::Redeliver { id, json } => {
            return send(service, Call::new("POST", format!("/api/deliveries/{id}/redeliver")), *json);
        }
    }
    Ok(Exit::Done)
}

fn get(service: &Service, path: String) -> Result<Response, Failure> {
    Ok(retry::send(service, &Call::new("GET", path), RETRY_FOR)?)
}

fn add(args: &AddWebhookArgs, service: &Service) -> Result<(), Failure> {
    let request = CreateWebhookRequest {
        url: address(&args.address)?,
        events: (!args.events.is_empty()).then(|| args.events.clone()),
        environment: args.environment.clone(),
        branch: args.branch.clone(),
        format: args.format,
    };
    let call = Call::new("POST", format!("/api/projects/{}/webhooks", args.project)).with_body(&request).idempotent();
    let response = retry::send(service, &call, RETRY_FOR)?;
    let new = response.read::<Data<NewWebhook>>()?.data;
    print_secret(&new, &response, args.secret_only, args.json, None);
    if !args.json && !args.secret_only {
        terminal::info(format!("to try it: `estop webhooks test {}`", new.webhook.id));
    }
    Ok(())
}

fn change(args: &ChangeWebhookArgs, service: &Service) -> Result<(), Failure> {
    // `null` means any.
    let filter = |given: &Option<String>, any: bool| if any { Some(None) } else { given.clone().map(Some) };
    let request = ChangeWebhookRequest {
        url: args.address.as_deref().map(address).transpose()?,
        events: (!args.events.is_empty()).then(|| args.events.clone()),
        environment: filter(&args.environment, args.any_environment),
        branch: filter(&args.branch, args.any_branch),
        format: args.format,
        disabled: (args.off || args.on).then_some(args.off),
    };
    let call = Call::new("PATCH", format!("/api/webhooks/{}", args.id)).with_body(&request);
    let response = retry::send(service, &call, RETRY_FOR)?;
    let changed = response.read::<Data<OneWebhook>>()?.data.webhook;
    if args.json {
        terminal::print(sanitize_json(&response.text));
    } else {
        print_webhooks(&[changed]);
    }
    Ok(())
}

/// The address that was given, or what standard input has.
fn address(given: &str) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    let mut text = String::new();
    match std::io::stdin().lock().take(LONGEST_INPUT).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Ok(_) => Err(Failure::new(Exit::Usage, "there is no address on standard input")),
        Err(error) => Err(Failure::new(Exit::Usage, format!("no address could be read from standard input: {error}"))),
    }
}

fn print_secret(new: &NewWebhook, response: &Response, secret_only: bool, json: bool, note: Option<&str>) {
    if json {
        terminal::print(sanitize_json(&response.text));
    } else if secret_only {
        terminal::print(sanitize(&new.secret));
    } else {
        print_webhooks(std::slice::from_ref(&new.webhook));
        terminal::print(format!("\n{}", sanitize(&new.secret)));
        let note = note.map(|note| format!(". {note}")).unwrap_or_default();
        terminal::info(format!(
            "this is the secret that what is sent is signed with. It cannot be shown again: store it with your other secrets{note}"
        ));
    }
}

/// Has something sent, and waits until that was tried.
fn send(service: &Service, call: Call, json: bool) -> Result<Exit, Failure> {
    let written = retry::send(service, &call.idempotent(), RETRY_FOR)?.read::<Data<OneDelivery>>()?.data.delivery;
    let delivery = once_tried(service, &written)?;
    let is_delivered = delivery.state == DeliveryState::Delivered;
    if json {
        let answer = Data { data: OneDelivery { delivery } };
        let text = serde_json::to_string(&answer).expect("the protocol's answers always serialize");
        terminal::print(sanitize_json(&text));
        return Ok(if is_delivered { Exit::Done } else { Exit::Failed });
    }
    let (webhook, outcome) = (delivery.webhook_id, outcome(&delivery));
    if !is_delivered {
        return Err(Failure::new(Exit::Failed, format!("webhook {webhook} did not take it: {outcome}")));
    }
    terminal::print(format!("Webhook {webhook} took it: {outcome}."));
    Ok(Exit::Done)
}

/// The delivery once an attempt has ended, or there will be none.
fn once_tried(service: &Service, written: &Delivery) -> Result<Delivery, Failure> {
    let webhook = written.webhook_id;
    let call = Call::new("GET", format!("/api/webhooks/{webhook}/deliveries"));
    let started = clock::now();
    let mut delays = retry::backoff(POLL_DELAYS.0, POLL_DELAYS.1);
    loop {
        let list = retry::send(service, &call, RETRY_FOR)?.read::<Data<Deliveries>>()?.data.deliveries;
        let is_tried = |d: &Delivery| d.attempted_at.is_some() || d.next_attempt_at.is_none();
        if let Some(delivery) = list.into_iter().find(|delivery| delivery.id == written.id).filter(is_tried) {
            return Ok(delivery);
        }
        if clock::since(started) > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(Failure::new(
                Exit::Timeout,
                format!(
                    "nothing is known of delivery {} after {seconds} s. Later: `estop webhooks deliveries {webhook}`",
                    written.id
                ),
            ));
        }
        thread::sleep(delays.next().unwrap_or(POLL_DELAYS.1));
    }
}

/// What came of the last attempt, and what comes next.
fn outcome(delivery: &Delivery) -> String {
    let status = delivery.status.map(|status| status.to_string()).unwrap_or_default();
    let said = match delivery.failure {
        None => format!("it answered {status}"),
        Some(DeliveryFailure::Status) if delivery.status == Some(410) => {
            "it answered 410 (Gone), so it is switched off".to_owned()
        }
        Some(DeliveryFailure::Status) => format!("it answered {status}"),
        Some(DeliveryFailure::Redirect) => {
            format!(
                "it answered {status}, which leads elsewhere, and that is not followed. Give it the address that it leads to"
            )
        }
        Some(DeliveryFailure::Timeout) => "there was no whole answer within 10 s".to_owned(),
        Some(DeliveryFailure::Unreachable) => "there was no connection, or it broke. Check the address".to_owned(),
        Some(DeliveryFailure::SwitchedOff) => "it was switched off before it went out".to_owned(),
    };
    let shown = delivery.failure.and(delivery.answer.as_deref()).map(beginning).filter(|answer| !answer.is_empty());
    let answer = shown.map(|answer| format!(", with: {answer}")).unwrap_or_default();
    let next = delivery.next_attempt_at.filter(|_| delivery.failure.is_some());
    let next = next.map(|at| format!(". It is tried again at {at}")).unwrap_or_default();
    format!("{said}{answer}{next}")
}

fn beginning(answer: &str) -> String {
    let answer = answer.trim();
    let cut = if answer.chars().nth(SHOWN_ANSWER).is_some() { "…" } else { "" };
    format!("{}{cut}", sanitize(&answer.chars().take(SHOWN_ANSWER).collect::<String>()))
}

/// Whether it works, and if not, since when and why.
fn condition(webhook: &Webhook) -> String {
    let since = |at| table::seconds(at);
    match (webhook.disabled_at, webhook.disabled_why, webhook.failing_since) {
        (Some(at), why, _) => {
            let why = match why {
                Some(WhyDisabled::Gone) => ": it answered 410",
                Some(WhyDisabled::Failing) => ": it failed for five days",
                Some(WhyDisabled::Admin) | None => "",
            };
            format!("off since {}{why}", since(at))
        }
        (None, _, Some(at)) => format!("fails since {}", since(at)),
        (None, _, None) => "on".to_owned(),
    }
}

/// What to do about one that does not work; nothing if an admin switched it off.
fn how_to_mend(webhook: &Webhook) -> Option<String> {
    let id = webhook.id;
    match (webhook.disabled_why, webhook.failing_since) {
        (Some(WhyDisabled::Admin), _) | (None, None) => None,
        (Some(_), _) => Some(format!("webhook {id}: once its receiver is mended, `estop webhooks change {id} --on`")),
        (None, Some(_)) => Some(format!("webhook {id}: `estop webhooks deliveries {id}` shows what it answers")),
    }
}

fn print_webhooks(webhooks: &[Webhook]) {
    let mut table = table::new(&["ID", "STATE", "ADDRESS", "EVENTS", "ENVIRONMENT", "BRANCH", "FORMAT"]);
    for webhook in webhooks {
        let events: Vec<&str> = webhook.events.iter().map(|event| event.name()).collect();
        table.add_row([
            table::id(webhook.id),
            table::text(condition(webhook)),
            table::text(&webhook.url),
            table::text(events.join(", ")),
            table::optional(webhook.environment.as_deref()),
            table::optional(webhook.branch.as_deref()),
            table::text(webhook.format.name()),
        ]);
    }
    table::print(&table);
}

fn print_deliveries(deliveries: &[Delivery]) {
    let mut table = table::new(&["ID", "EVENT", "RUN", "CREATED", "STATE", "ANSWER", "ATTEMPTS", "NEXT ATTEMPT"]);
    for delivery in deliveries {
        // A failure that is no answer says more than the status of an earlier one.
        let answer = match (delivery.failure, delivery.status) {
            (Some(DeliveryFailure::Status) | None, status) => status.map(|status| status.to_string()),
            (Some(DeliveryFailure::Redirect), status) => Some(format!("{} (redirect)", status.unwrap_or_default())),
            (Some(failure), _) => Some(failure.name().replace('_', " ")),
        };
        table.add_row([
            table::id(delivery.id),
            table::text(&delivery.event),
            delivery.test_run.map_or_else(|| table::optional(None), table::id),
            table::time(delivery.created_at),
            table::text(delivery.state.name()),
            table::optional(answer.as_deref()),
            table::id(delivery.attempts),
            table::optional_time(delivery.next_attempt_at),
        ]);
    }
    table::print(&table);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn delivery(more: Value) -> Delivery {
        let mut whole = json!({
            "id": 7, "webhook_id": 3, "test_run": null, "event": "test", "message_id": "msg_1",
            "at": "2026-11-30T09:30:00.000Z", "created_at": "2026-11-30T09:30:00.000Z", "redelivers": null,
            "state": "due", "next_attempt_at": "2026-11-30T09:31:00.000Z", "attempts": 1,
            "attempted_at": "2026-11-30T09:30:01.000Z", "status": null, "failure": null, "answer": null,
        });
        whole.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(whole).expect("a delivery")
    }

    fn webhook(more: Value) -> Webhook {
        let mut whole = json!({
            "id": 3, "project_id": 1, "url": "https://example.com/", "events": ["run.error"], "environment": null,
            "branch": null, "format": "standard", "disabled": false, "disabled_why": null, "disabled_at": null,
            "failing_since": null, "previous_secret_until": null, "created_at": "2026-11-30T09:30:00.000Z",
        });
        whole.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        serde_json::from_value(whole).expect("a webhook")
    }

    #[test]
    fn each_outcome_is_a_sentence_that_says_what_to_do() {
        let again = ". It is tried again at 2026-11-30T09:31:00.000Z";
        let of = |more| outcome(&delivery(more));
        assert_eq!(of(json!({"status": 204, "state": "delivered", "next_attempt_at": null})), "it answered 204");
        assert_eq!(
            of(json!({"status": 500, "failure": "status", "answer": " no\u{1b}[2J\nmore "})),
            format!("it answered 500, with: no\\u{{1b}}[2J\\nmore{again}")
        );
        assert_eq!(
            of(json!({"status": 307, "failure": "redirect"})),
            format!(
                "it answered 307, which leads elsewhere, and that is not followed. Give it the address that it leads to{again}"
            )
        );
        assert_eq!(of(json!({"failure": "timeout"})), format!("there was no whole answer within 10 s{again}"));
        assert_eq!(
            of(json!({"failure": "unreachable"})),
            format!("there was no connection, or it broke. Check the address{again}")
        );
        let over = |more: Value| {
            let mut whole = json!({"state": "failed", "next_attempt_at": null});
            whole.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            of(whole)
        };
        assert_eq!(over(json!({"failure": "switched_off"})), "it was switched off before it went out");
        assert_eq!(over(json!({"status": 410, "failure": "status"})), "it answered 410 (Gone), so it is switched off");
        let long = "é".repeat(5000);
        let said = over(json!({"status": 500, "failure": "status", "answer": long}));
        assert!(said.ends_with("é…") && said.chars().count() < SHOWN_ANSWER + 50, "{said}");
    }

    #[test]
    fn a_webhook_says_whether_it_works_and_what_to_do() {
        let said = |more: Value| {
            let webhook = webhook(more);
            (condition(&webhook), how_to_mend(&webhook))
        };
        let off = |why: &str| json!({"disabled": true, "disabled_why": why, "disabled_at": "2026-11-30T09:30:00.000Z"});
        let since = |text: &str| format!("{text} since 2026-11-30 09:30:00Z");
        let on = Some("webhook 3: once its receiver is mended, `estop webhooks change 3 --on`".to_owned());
        assert_eq!(said(json!({})), ("on".to_owned(), None));
        assert_eq!(said(off("admin")), (since("off"), None));
        assert_eq!(said(off("gone")), (format!("{}: it answered 410", since("off")), on.clone()));
        assert_eq!(said(off("failing")), (format!("{}: it failed for five days", since("off")), on));
        assert_eq!(
            said(json!({"failing_since": "2026-11-30T09:30:00.000Z"})),
            (since("fails"), Some("webhook 3: `estop webhooks deliveries 3` shows what it answers".to_owned()))
        );
    }
}
