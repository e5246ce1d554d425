import { useSignal } from '@preact/signals';
import { Copyable } from '../ui/copy';
import { Dialog } from '../ui/dialog';
import { Ago, now, On } from '../ui/time';
import { attempt, createKey, type Key, keys, made, type Project, revokeKey } from './admin';
import { Form, Scopes, scopesOf, textOf, untilOf } from './fields';
import { People } from './people';

const over = (key: Key) =>
  key.revoked_at !== null || (key.expires_at !== null && Date.parse(key.expires_at) < now.value);

const isDomain = (key: Key) => key.access?.startsWith('@') ?? false;

/** What there is to know of a key beside its user. */
function what(key: Key) {
  if (isDomain(key)) return `${key.name}, for all of that domain`;
  if (key.granted_by !== null) return `${key.name}, let in by ${key.access?.slice(key.access.indexOf('@'))}`;
  return key.name;
}

/** What becomes of whom once a key is revoked. */
function consequence(key: Key) {
  if (isDomain(key))
    return 'Everybody who came in by this domain is signed out with their next request, and nobody else comes in by it.';
  if (key.access)
    return 'They are signed out with their next request, and stay out until an admin lets them in again by their own address.';
  return 'It is refused from the next request on, and nothing brings it back.';
}

function Row({ of, revoke }: { of: Key; revoke: () => void }) {
  return (
    <li class={over(of) ? 'over' : ''}>
      <span>
        <b>{of.user}</b> <span class="soft">{what(of)}</span>
        <br />
        <span class="sub">
          {of.scopes.join(', ')} · made <Ago at={of.created_at} /> ·{' '}
          {of.last_used_on ? `last used on ${of.last_used_on}` : 'never used'}
          {of.revoked_at ? (
            <>
              {' '}
              · revoked <Ago at={of.revoked_at} />
            </>
          ) : of.expires_at ? (
            <>
              {' '}
              · {over(of) ? 'expired' : 'expires'} on <On at={of.expires_at} />
            </>
          ) : null}
        </span>
      </span>
      {!over(of) && (
        <button type="button" class="stop end" aria-label={`Revoke the key ${of.name} of ${of.user}`} onClick={revoke}>
          Revoke
        </button>
      )}
    </li>
  );
}

/** Keys that were just made: whatever else one does here, they stay until somebody has them. */
export const MadeKeys = () =>
  made.value.map(({ of, token }) => (
    <section key={of.id} class="card made" role="status">
      <p>
        <b>
          The key {of.name} of {of.user}, shown this once.
        </b>{' '}
        Keep it where its user finds it; it cannot be shown again.
      </p>
      <Copyable label="the key" text={token} />
      <button
        type="button"
        onClick={() => {
          made.value = made.peek().filter((one) => one.of.id !== of.id);
        }}
      >
        I have it
      </button>
    </section>
  ));

export function Keys({ project }: { project: Project }) {
  const revoking = useSignal<Key | null>(null);
  const doomed = revoking.value;
  const close = () => {
    revoking.value = null;
  };
  return (
    <section aria-labelledby="keys">
      <h2 id="keys">Keys</h2>
      <div class="card">
        <ul class="rows">
          {keys.value.map((key) => (
            <Row key={key.id} of={key} revoke={() => (revoking.value = key)} />
          ))}
          {keys.value.length === 0 && (
            <li class="soft">None yet. CI needs one that may run, people need one that may read and cancel.</li>
          )}
        </ul>
        <div class="foot">
          <Form
            button="Make a key"
            send={async (form) => {
              const body = {
                project_id: project.id,
                user: textOf(form, 'user'),
                name: textOf(form, 'name'),
                scopes: scopesOf(form),
                ...untilOf(form),
              };
              return (await attempt(() => createKey(body), 'The key is made.')) !== undefined;
            }}
          >
            <label>
              <span>Who uses it</span>
              <input name="user" required maxLength={255} placeholder="ada@example.com" />
            </label>
            <label>
              <span>What for</span>
              <input name="name" required maxLength={255} placeholder="laptop" />
            </label>
            <label>
              <span>Until (optional)</span>
              <input name="expires_at" type="date" />
            </label>
            <Scopes who="It" />
          </Form>
        </div>
        <People project={project} />
      </div>
      {doomed && (
        <Dialog title={`Revoke the key ${doomed.name} of ${doomed.user}?`} close={close}>
          <p>{consequence(doomed)} Tests that run under it go on and can be stopped.</p>
          <p class="buttons">
            <button type="button" autofocus onClick={close}>
              Keep it
            </button>
            <button
              type="button"
              class="go"
              onClick={() => {
                void attempt(() => revokeKey(doomed.id), 'The key is revoked.');
                close();
              }}
            >
              Revoke
            </button>
          </p>
        </Dialog>
      )}
    </section>
  );
}
