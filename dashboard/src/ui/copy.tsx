import { useSignal } from '@preact/signals';
import { say } from './toast';

/** A line to take along, with a button that copies it. */
export function Copyable({ text, label }: { text: string; label: string }) {
  const copied = useSignal(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      copied.value = true;
      setTimeout(() => {
        copied.value = false;
      }, 2000);
    } catch {
      say('The browser does not let this page copy. Select the line instead.');
    }
  };
  return (
    <div class="copyable">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, so that a keyboard has to reach it */}
      <code tabIndex={0}>{text}</code>
      <button type="button" onClick={copy} aria-label={`Copy ${label}`}>
        {copied.value ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}
