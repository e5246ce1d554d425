import { useSignal } from '@preact/signals';
import { said } from '../api/client';
import { Dialog } from '../ui/dialog';
import { say } from '../ui/toast';
import { askingToKill, kill } from './stop';
import { look } from './store';

export function KillDialog({ id }: { id: number }) {
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const close = () => {
    askingToKill.value = null;
  };
  const confirm = async (event: Event) => {
    event.preventDefault();
    if (busy.peek()) return;
    busy.value = true;
    try {
      say(await kill(id));
      void look([id]);
      close();
    } catch (error) {
      problem.value = said(error);
      busy.value = false;
    }
  };
  return (
    <Dialog title={`Kill what is left of #${id}?`} close={close}>
      <form
        onSubmit={confirm}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void confirm(event);
        }}
      >
        <p>Its tests get SIGKILL at once: no report, no clean-up. The record will name you.</p>
        {problem.value && (
          <p class="problem" role="alert">
            {problem.value}
          </p>
        )}
        <p class="buttons">
          <button type="button" autofocus onClick={close}>
            Let it stop by itself
          </button>
          <button type="submit" class="go" aria-disabled={busy.value}>
            Kill now <kbd>Ctrl ⏎</kbd>
          </button>
        </p>
      </form>
    </Dialog>
  );
}
