import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { said } from '../api/client';
import { Close, Dialog } from '../ui/dialog';
import { duration } from '../ui/time';
import { say } from '../ui/toast';
import { select, selected } from './selection';
import { asking, dryRun, type Outcome, stop } from './stop';
import { look, runOf } from './store';

const LISTED = 8;

const runs = (n: number) => (n === 1 ? '1 run' : `${n} runs`);

/** A list that says how many it does not show. */
function Some<T>({ of, line }: { of: T[]; line: (item: T) => string }) {
  return (
    <ul class="some">
      {of.slice(0, LISTED).map((item) => (
        <li key={line(item)}>{line(item)}</li>
      ))}
      {of.length > LISTED && <li class="soft">and {of.length - LISTED} more</li>}
    </ul>
  );
}

export function StopDialog({ ids }: { ids: readonly number[] }) {
  const plan = useSignal<Outcome | null>(null);
  const result = useSignal<Outcome | null>(null);
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const reason = useRef<HTMLTextAreaElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const ready = useComputed(() => !busy.value && (plan.value?.cancelled.length ?? 0) > 0);

  const close = () => {
    asking.value = null;
  };
  const prepare = () => {
    problem.value = null;
    dryRun(ids).then(
      (outcome) => {
        plan.value = outcome;
      },
      (error) => {
        problem.value = said(error);
      },
    );
  };
  useEffect(prepare, []);

  const confirm = async () => {
    if (!ready.peek() || !plan.value) return;
    busy.value = true;
    const outcome = await stop(
      plan.value.cancelled.map(({ id }) => id),
      reason.current?.value ?? '',
    );
    busy.value = false;
    void look(outcome.cancelled.map(({ id }) => id));
    // What failed stays selected, to be tried again. What was over before is nothing to try, and others were not asked about.
    const asked = new Set(ids);
    const failed = new Set(outcome.left.map(({ id }) => id));
    select([...selected.peek()].filter((id) => !asked.has(id) || failed.has(id)));
    const isOpen = asking.peek() === ids;
    if (ids.length === 1 && outcome.left.length === 0) {
      say(`Run ${ids[0]} is cancelled. Its tests are being stopped.`);
      if (isOpen) close();
    } else if (isOpen) result.value = outcome;
    // Whoever closed the dialog meanwhile is told all the same.
    else say([`Stopped ${outcome.cancelled.length} of ${runs(ids.length)}.`, outcome.left[0]?.message].join(' '));
  };

  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      void confirm();
    } else if (
      event.key.length === 1 &&
      event.key !== ' ' &&
      !(event.ctrlKey || event.metaKey || event.altKey) &&
      event.target !== reason.current
    ) {
      // Whoever starts to type means the reason; the focus is on the button that does no harm.
      reason.current?.focus();
    }
  };

  if (result.value) {
    const { cancelled, left } = result.value;
    return (
      <Dialog
        title={left.length ? `Stopped ${cancelled.length} of ${runs(ids.length)}` : `Stopped ${runs(cancelled.length)}`}
        close={close}
      >
        {cancelled.length > 0 && (
          <>
            <p class="soft">Cancelled; their tests are being stopped:</p>
            <Some of={cancelled} line={({ id, branch }) => `#${id} ${branch ?? ''}`} />
          </>
        )}
        {left.length > 0 && (
          <>
            <p class="soft">
              {left.some(({ id }) => selected.value.has(id)) ? 'Not stopped, and still selected:' : 'Not stopped:'}
            </p>
            <Some of={left} line={({ message }) => message} />
          </>
        )}
        <Close close={close} />
      </Dialog>
    );
  }

  const count = plan.value?.cancelled.length;
  const only = ids.length === 1 ? runOf(ids[0] ?? 0)?.peek() : undefined;
  return (
    <Dialog
      title={only ? `Stop #${only.id} ${only.test_run_branch ?? ''}?` : `Stop ${runs(ids.length)}?`}
      close={close}
    >
      <form
        ref={form}
        onKeyDown={keys}
        onSubmit={(event) => {
          event.preventDefault();
          void confirm();
        }}
      >
        <div class="plan" aria-live="polite">
          {problem.value ? (
            <p class="problem">
              {problem.value}{' '}
              <button type="button" onClick={prepare}>
                Try again
              </button>
            </p>
          ) : plan.value ? (
            <>
              <Some
                of={plan.value.cancelled}
                line={({ id, branch, environment, actor, age_seconds }) =>
                  `#${id} ${branch ?? 'no branch'} · ${environment} · ${actor} · ${duration(age_seconds * 1000)}`
                }
              />
              {plan.value.left.length > 0 && (
                <>
                  <p class="soft">{count === 0 ? 'Nothing is left to stop:' : 'These stay as they are:'}</p>
                  <Some of={plan.value.left} line={({ message }) => message} />
                </>
              )}
            </>
          ) : (
            <p class="soft">Looking what would be stopped…</p>
          )}
        </div>
        <p class="soft">The tests get some seconds to clean up. Everyone will see your name and your reason.</p>
        <label>
          <span>Why? (optional)</span>
          <textarea ref={reason} rows={2} maxLength={1024} placeholder="wrong branch" />
        </label>
        <p class="buttons">
          <button type="button" autofocus onClick={close}>
            Keep running
          </button>
          <button type="submit" class="go" aria-disabled={!ready.value}>
            {busy.value ? 'Stopping…' : `Stop ${runs(count ?? ids.length)}`} <kbd>Ctrl ⏎</kbd>
          </button>
        </p>
      </form>
    </Dialog>
  );
}
