import { useEffect } from 'preact/hooks';
import { Copyable } from '../../ui/copy';
import { attempt, type Project } from '../admin';
import { Form } from '../fields';
import { closeDeliveries, createWebhook, loadWebhooks, missing, problem, secrets, webhooks } from './data';
import { Fields, wanted } from './fields';
import { Row } from './row';

/** So many a project may have. */
const MOST = 10;

/** Secrets that were just made: whatever else one does here, they stay until somebody has them. */
export const NewSecrets = () =>
  secrets.value.map(({ of, secret }) => (
    <section key={`${of.id} ${secret}`} class="card made" role="status">
      <p>
        <b>
          The secret of webhook {of.id}, for {new URL(of.url).host}, shown this once.
        </b>{' '}
        Its receiver verifies with it that what comes is this service’s; it cannot be shown again.
        {of.format === 'slack' && ' Slack itself does not ask for it.'}
      </p>
      <Copyable label={`the secret of webhook ${of.id}`} text={secret} />
      <button
        type="button"
        onClick={() => {
          secrets.value = secrets.peek().filter((one) => one.secret !== secret);
        }}
      >
        I have it
      </button>
    </section>
  ));

const Add = ({ project }: { project: Project }) => (
  <Form
    button="Add the webhook"
    send={async (form) => {
      const added = await attempt(async () => {
        await createWebhook(project.id, wanted(form));
        return true;
      }, 'The webhook is there. Send it a test.');
      return added ?? false;
    }}
  >
    <Fields />
  </Form>
);

function List({ project }: { project: Project }) {
  const list = webhooks.value;
  if (missing.value) {
    return (
      <p class="foot soft">
        This service sends none: it has no secret <code>WEBHOOK_SECRET</code>, of which it makes the secrets of
        webhooks. Whoever operates it sets one: <code>make deploy</code> does, and docs/webhooks.md says more.
      </p>
    );
  }
  if (list === null) return problem.value ? null : <p class="foot soft">Loading…</p>;
  return (
    <>
      <ul class="rows">
        {list.map((one) => (
          <Row key={one.id} of={one} />
        ))}
        {list.length === 0 && (
          <li class="soft">
            None yet. A webhook is an address of yours, or a Slack channel, that hears what happens to this project’s
            runs.
          </li>
        )}
      </ul>
      <div class="foot">
        {list.length < MOST ? (
          <Add project={project} />
        ) : (
          <p class="soft">These are as many as a project may have. Delete one to add another.</p>
        )}
      </div>
    </>
  );
}

/** Who hears of a project's runs. */
export function Webhooks({ project }: { project: Project }) {
  useEffect(() => {
    closeDeliveries();
    void loadWebhooks(project.id);
  }, [project.id]);
  return (
    <section aria-labelledby="webhooks">
      <h2 id="webhooks">Webhooks</h2>
      <div class="card">
        {problem.value && (
          <p class="problem" role="alert">
            {problem.value}{' '}
            <button type="button" onClick={() => void loadWebhooks(project.id)}>
              Try again
            </button>
          </p>
        )}
        <List project={project} />
      </div>
    </section>
  );
}
