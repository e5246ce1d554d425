import { useSignal } from '@preact/signals';
import { said } from '../../api/client';
import { At } from '../../ui/time';
import { say } from '../../ui/toast';
import { closeDeliveries, type Delivery, deliveries, loadDeliveries, redeliver } from './data';
import { answered, outcome, stateOf, until } from './words';

function Row({ of, busy, again }: { of: Delivery; busy: boolean; again: () => void }) {
  const { word, tone } = stateOf(of);
  const over = of.state === 'delivered' || of.state === 'failed';
  const name = `delivery ${of.id}`;
  return (
    <li>
      <span>
        <span class={`st ${tone}`}>{word}</span> <b>{of.event}</b>{' '}
        {of.test_run !== null && <a href={`/runs/${of.test_run}`}>#{of.test_run}</a>}{' '}
        {of.redelivers !== null && <span class="sub">once more</span>}
        <br />
        <span class="sub">
          <At at={of.created_at} />
          {answered(of) && <> · {answered(of)}</>} · {of.attempts === 1 ? '1 attempt' : `${of.attempts} attempts`}
          {of.next_attempt_at !== null && <> · next {until(of.next_attempt_at)}</>}
        </span>
        {of.answer && (
          <details class="answer">
            <summary aria-label={`Answer to ${name}`}>Answer</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that a keyboard has to reach it */}
            <pre tabIndex={0}>{of.answer}</pre>
          </details>
        )}
      </span>
      {over && (
        <button type="button" class="end" aria-label={`Send again ${name}`} aria-disabled={busy} onClick={again}>
          Send again
        </button>
      )}
    </li>
  );
}

/** What a webhook was sent last, and what it answered. */
export function Deliveries({ id }: { id: number }) {
  const busy = useSignal(false);
  const shown = deliveries.value;
  const again = async (delivery: number) => {
    if (busy.peek()) return;
    busy.value = true;
    say(await redeliver(delivery).then(outcome, said));
    busy.value = false;
  };
  return (
    <section class="deliveries" aria-label={`Deliveries of webhook ${id}`}>
      {shown === null && <p class="soft">Loading…</p>}
      {shown?.list.length === 0 && (
        <p class="soft">Nothing yet. It hears of what happens from now on; a test can be sent at any time.</p>
      )}
      <ul class="rows">
        {shown?.list.map((one) => (
          <Row key={one.id} of={one} busy={busy.value} again={() => void again(one.id)} />
        ))}
      </ul>
      <p class="buttons">
        <button type="button" onClick={() => loadDeliveries(id).catch((error) => say(said(error)))}>
          Refresh
        </button>
        <button type="button" onClick={closeDeliveries}>
          Close
        </button>
      </p>
    </section>
  );
}
