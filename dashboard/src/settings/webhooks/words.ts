import type { Schemas } from '../../api/client';
import type { Tone } from '../../ui/state';
import { localTime, now } from '../../ui/time';
import type { Delivery, Webhook } from './data';

export const EVENTS: Record<Schemas['WebhookEvent'], string> = {
  'run.started': 'started',
  'run.cancelled': 'cancelled',
  'run.stopped': 'stopped',
  'run.ended': 'passed or failed',
  'run.error': 'broke',
};

/** What it hears of, in a phrase. */
export function hears({ events, environment, branch, format }: Webhook): string {
  const all = Object.keys(EVENTS).length === events.length;
  return [
    all ? 'every event' : events.join(', '),
    environment === null ? 'any environment' : `only ${environment}`,
    branch === null ? 'any branch' : `only branches like ${branch}`,
    format === 'slack' ? 'as Slack takes it' : 'signed as Standard Webhooks say',
  ].join(' · ');
}

const WHY_OFF: Record<string, { why: string; todo: string }> = {
  gone: {
    why: 'it answered 410 (Gone)',
    todo: 'Give it the address where its receiver is now, and switch it on; or delete it.',
  },
  failing: {
    why: 'it failed for five days',
    todo: 'See what it answered, mend its receiver, switch it on, and send a test.',
  },
};

/** Whether it works, in a few words; and if not, what to do. */
export function condition({ disabled_at, disabled_why, failing_since }: Webhook): {
  word: string;
  tone: Tone;
  todo?: string;
} {
  if (disabled_at) {
    const since = `switched off since ${localTime(disabled_at)}`;
    const off = WHY_OFF[disabled_why ?? ''];
    if (off) {
      const todo = `${off.todo} What was to come for it is given up, and what happens meanwhile is not sent later.`;
      return { word: `${since}: ${off.why}`, tone: 'bad', todo };
    }
    return { word: since, tone: 'off', todo: 'What happens meanwhile is not sent later.' };
  }
  if (failing_since) {
    return {
      word: `failing since ${localTime(failing_since)}`,
      tone: 'bad',
      todo: 'Each event is tried again for three days. If it fails for five, it is switched off.',
    };
  }
  return { word: 'on, no failures', tone: 'ok' };
}

/** What came of the last attempt; nothing if none has ended. */
export function answered({ failure, status, attempted_at }: Delivery): string {
  switch (failure) {
    case 'redirect':
      return `it answered ${status}, which leads elsewhere, and that is not followed`;
    case 'timeout':
      return 'there was no whole answer within 10 seconds';
    case 'unreachable':
      return 'there was no connection, or it broke';
    case 'switched_off':
      return 'it was switched off before this went out';
    default:
      return attempted_at ? `it answered ${status}` : '';
  }
}

/** What came of a test or a redelivery, as a sentence. */
export function outcome(delivery: Delivery | undefined): string {
  if (!delivery) return 'Nothing is known of it yet. Its deliveries show what becomes of it.';
  const { state, next_attempt_at: next } = delivery;
  if (state === 'delivered') return `Delivered: ${answered(delivery)}.`;
  return `Not delivered: ${answered(delivery)}.${next ? ` It is tried again ${until(next)}.` : ''}`;
}

const STATES: Record<Delivery['state'], { word: string; tone: Tone }> = {
  waiting: { word: 'waiting for an earlier event', tone: 'wait' },
  due: { word: 'on its way', tone: 'wait' },
  delivered: { word: 'delivered', tone: 'ok' },
  failed: { word: 'given up', tone: 'bad' },
};

export const stateOf = ({ state, failure }: Delivery): { word: string; tone: Tone } =>
  state === 'due' && failure ? { word: 'failed so far', tone: 'bad' } : STATES[state];

/** How long until then, in a few words. */
export function until(at: string): string {
  const s = Math.ceil((Date.parse(at) - now.value) / 1000);
  if (s <= 0) return 'any moment';
  if (s < 60) return `in ${s} s`;
  if (s < 3600) return `in ${Math.round(s / 60)} m`;
  return `in ${Math.round(s / 3600)} h`;
}
