import { KEYS } from '../runs/keyboard';
import { Close, Dialog } from './dialog';

export const Keys = ({ close }: { close: () => void }) => (
  <Dialog title="Keys" close={close}>
    <dl class="keys">
      {KEYS.map(([key, what]) => (
        <>
          <dt key={key}>
            {key.split('  ').map((one) => (
              <kbd key={one}>{one}</kbd>
            ))}
          </dt>
          <dd>{what}</dd>
        </>
      ))}
    </dl>
    <Close close={close} />
  </Dialog>
);
