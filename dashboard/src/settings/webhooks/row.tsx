import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import { said } from '../../api/client';
import { Dialog } from '../../ui/dialog';
import { Ago, At, now } from '../../ui/time';
import { say } from '../../ui/toast';
import { attempt } from '../admin';
import { Form } from '../fields';
import {
  changeWebhook,
  closeDeliveries,
  deleteWebhook,
  loadDeliveries,
  open,
  rotate,
  test,
  type Webhook,
} from './data';
import { Deliveries } from './deliveries';
import { Fields, wanted } from './fields';
import { condition, hears, outcome } from './words';

/** The host stands out: the rest of an address can be a secret in itself, and is long. */
function Address({ url }: { url: string }) {
  const { host } = new URL(url);
  const [before, after] = [url.slice(0, url.indexOf(host)), url.slice(url.indexOf(host) + host.length)];
  return (
    <code class="address">
      <span class="soft">{before}</span>
      <b>{host}</b>
      <span class="soft">{after}</span>
    </code>
  );
}

/** What is asked before something is done that cannot be taken back. */
const QUESTIONS = {
  delete: {
    title: (name: string) => `Delete ${name}?`,
    text: 'Nothing more is sent to it, not even what is on its way. Its address and its deliveries are forgotten.',
    button: 'Delete',
    act: (id: number) => attempt(() => deleteWebhook(id), 'The webhook is deleted.'),
  },
  rotate: {
    title: (name: string) => `Give ${name} a new secret?`,
    text: 'For 24 hours what is sent is signed with both, so that you can change it at your end at any time in between. After that, only the new one holds.',
    button: 'Make a new secret',
    act: (id: number) => attempt(() => rotate(id), 'It has a new secret. Both hold for 24 hours.'),
  },
};

export function Row({ of }: { of: Webhook }) {
  const { id, disabled, previous_secret_until: previous } = of;
  const name = `webhook ${id}`;
  const { word, tone, todo } = condition(of);
  const changing = useSignal(false);
  const asked = useSignal<keyof typeof QUESTIONS | null>(null);
  const tested = useSignal<string | null>(null);
  const testing = useSignal(false);
  const changer = useRef<HTMLButtonElement>(null);
  const shown = open.value === id;
  const question = asked.value && QUESTIONS[asked.value];

  const sendTest = async () => {
    if (testing.peek()) return;
    testing.value = true;
    tested.value = 'A test is on its way…';
    tested.value = await test(id).then(outcome, said);
    testing.value = false;
  };
  const done = () => {
    changing.value = false;
    changer.current?.focus();
  };
  return (
    <li class="webhook">
      <div>
        <Address url={of.url} /> <span class="num">{name}</span>
        <p class={`st ${tone}`}>{word}</p>
        {todo && <p class="sub">{todo}</p>}
        <p class="sub">
          {hears(of)} · made <Ago at={of.created_at} />
          {previous && Date.parse(previous) > now.value && (
            <>
              {' '}
              · the secret before holds too, until <At at={previous} />
            </>
          )}
        </p>
      </div>
      <p class="acts">
        <button type="button" aria-label={`Send a test to ${name}`} aria-disabled={testing.value} onClick={sendTest}>
          Send a test
        </button>
        <button
          type="button"
          aria-label={`Deliveries of ${name}`}
          aria-expanded={shown}
          onClick={() => {
            if (shown) closeDeliveries();
            else
              loadDeliveries(id).catch((error) => {
                say(said(error));
                closeDeliveries();
              });
          }}
        >
          Deliveries
        </button>
        <button
          ref={changer}
          type="button"
          aria-label={`Change ${name}`}
          aria-expanded={changing.value}
          onClick={() => {
            changing.value = !changing.peek();
          }}
        >
          Change
        </button>
        <button
          type="button"
          aria-label={`${disabled ? 'Switch on' : 'Switch off'} ${name}`}
          onClick={() => {
            const said = disabled
              ? 'It is on. Send a test to see whether it works.'
              : 'It is off: nothing is sent to it.';
            void attempt(() => changeWebhook(id, { disabled: !disabled }), said);
          }}
        >
          {disabled ? 'Switch on' : 'Switch off'}
        </button>
        <button
          type="button"
          aria-label={`New secret for ${name}`}
          onClick={() => {
            asked.value = 'rotate';
          }}
        >
          New secret
        </button>
        <button
          type="button"
          class="stop"
          aria-label={`Delete ${name}`}
          onClick={() => {
            asked.value = 'delete';
          }}
        >
          Delete
        </button>
      </p>
      <p class="tested" role="status">
        {tested.value}
      </p>
      {changing.value && (
        <Form
          button="Save"
          send={async (form) => {
            const changed = await attempt(async () => {
              await changeWebhook(id, wanted(form));
              return true;
            }, 'The webhook is changed.');
            if (changed) done();
            return false;
          }}
        >
          <Fields of={of} first />
          <button type="button" onClick={done}>
            Cancel
          </button>
        </Form>
      )}
      {shown && <Deliveries id={id} />}
      {question && (
        <Dialog
          title={question.title(name)}
          close={() => {
            asked.value = null;
          }}
        >
          <p>
            <Address url={of.url} />
          </p>
          <p>{question.text}</p>
          <p class="buttons">
            <button
              type="button"
              autofocus
              onClick={() => {
                asked.value = null;
              }}
            >
              Leave it
            </button>
            <button
              type="button"
              class="go"
              onClick={() => {
                asked.value = null;
                void question.act(id);
              }}
            >
              {question.button}
            </button>
          </p>
        </Dialog>
      )}
    </li>
  );
}
