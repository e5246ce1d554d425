import { useSignal } from '@preact/signals';
import { Copyable } from '../ui/copy';
import { Dialog } from '../ui/dialog';
import { Ago, now, On } from '../ui/time';
import { attempt, createKey, type Key, keys, made, type Project, revokeKey } from './admin';
import { Form, textOf } from './fields';

const SCOPES = { read: 'see runs', cancel: 'stop runs', run: 'register and run' } as const;
type Scope = keyof typeof SCOPES;

const over = (key: Key) =>
  key.revoked_at !== null || (key.expires_at !== null && Date.parse(key.expires_at) < now.value);

function Row({ of, revoke }: { of: Key; revoke: () => void }) {
  return (
    <li class={over(of) ? 'over' : ''}>
      <span>
        <b>{of.user}</b> <span class="soft">{of.name}</span>
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
              const scopes = new FormData(form).getAll('scopes') as Scope[];
              const expires = textOf(form, 'expires_at');
              const body = {
                project_id: project.id,
                user: textOf(form, 'user'),
                name: textOf(form, 'name'),
                scopes,
                // To the end of that day, where the admin is.
                ...(expires ? { expires_at: new Date(`${expires}T23:59:59.999`).toISOString() } : {}),
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
            <fieldset>
              <legend>It may</legend>
              {Object.entries(SCOPES).map(([scope, words]) => (
                <label key={scope} class="check">
                  <input type="checkbox" name="scopes" value={scope} defaultChecked={scope !== 'run'} /> {words}
                </label>
              ))}
            </fieldset>
          </Form>
        </div>
      </div>
      {doomed && (
        <Dialog title={`Revoke the key ${doomed.name} of ${doomed.user}?`} close={close}>
          <p>
            It is refused from the next request on, and nothing brings it back. Tests that run under it go on and can be
            stopped.
          </p>
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
