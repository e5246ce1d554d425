import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Run } from '../api/client';
import { graceMs, may } from '../session';
import { stateOf, who } from '../ui/state';
import { now, ticking } from '../ui/time';
import { say } from '../ui/toast';
import { isOpen } from './filters';
import { asking, askingToKill } from './stop';

const NO_SCOPE = 'This key may not stop runs: it lacks the scope cancel.';

/** Why a run cannot be stopped now; nothing if it can. */
export function whyNotStop(run: Run): string | null {
  if (!may.cancel.value) return NO_SCOPE;
  if (isOpen(run)) return null;
  if (run.cancel) return `Already cancelled by ${who(run.cancel.by)}.`;
  return `It is over: ${stateOf(run).word}.`;
}

/** Why what is left of a run cannot be killed now; nothing if it can. */
export function whyNotKill(run: Run): string | null {
  if (!may.cancel.value) return NO_SCOPE;
  if (isOpen(run)) return 'Stop it first.';
  if (run.stop?.outcome !== 'stopping' || !run.cancel) return 'Nothing of it is running.';
  if (run.stop.kill) return `${who(run.stop.kill.by)} has ordered it already.`;
  const left = Date.parse(run.cancel.at) + graceMs.value - now.value;
  return left > 0 ? `Its tests may clean up for ${ticking(left + 999)} more.` : null;
}

interface Props {
  label: string;
  name: string;
  why: string | null;
  /** Whether the reason stands beside the button, too, and not only on hover. */
  told?: boolean;
  act: () => void;
}

/** A button that can be reached while it is disabled, and says why it is. */
function Button({ label, name, why, told, act }: Props) {
  const self = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const place = self.current;
    const around = place?.closest('tr') ?? place?.closest('section')?.querySelector('h1');
    // Once the run has stopped, the button goes; the focus stays near it.
    return () => {
      if (place?.contains(document.activeElement)) around?.focus({ preventScroll: true });
    };
  }, []);
  return (
    <span ref={self} class="with-why">
      <button
        type="button"
        class="stop"
        aria-label={name}
        aria-disabled={why !== null}
        title={why ?? undefined}
        aria-description={why ?? undefined}
        onClick={() => (why ? say(why) : act())}
      >
        {label}
      </button>
      {told && why && <span class="sub">{why}</span>}
    </span>
  );
}

export const StopButton = ({ run, told = false }: { run: Run; told?: boolean }) => (
  <Button
    label="Stop"
    name={`Stop run ${run.id}`}
    why={whyNotStop(run)}
    told={told}
    act={() => {
      asking.value = [run.id];
    }}
  />
);

export const KillButton = ({ run, told = false }: { run: Run; told?: boolean }) => (
  <Button
    label="Kill"
    name={`Kill run ${run.id}`}
    why={whyNotKill(run)}
    told={told}
    act={() => {
      askingToKill.value = run.id;
    }}
  />
);
