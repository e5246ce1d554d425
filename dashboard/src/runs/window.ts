import { useSignal } from '@preact/signals';
import type { RefObject } from 'preact';
import { useEffect, useLayoutEffect } from 'preact/hooks';

/** Rows beyond the edge of the screen, so that a quick scroll meets no gap. */
const BEYOND = 8;
/** The window moves by so many rows at once, not by each. */
const STEP = 4;

const narrow = matchMedia('(max-width: 720px)');
/** The heights that style/runs.css gives a row, and a card on a narrow screen. Pixels. */
const heightOfRow = () => (narrow.matches ? 124 : 56);

/** Which of `count` rows are drawn, as the page is scrolled. The others are only room above and below. */
export function useWindow(count: number, body: RefObject<HTMLElement | null>) {
  const first = useSignal(0);
  const last = useSignal(40);
  const height = useSignal(heightOfRow());

  const measure = () => {
    const top = body.current?.getBoundingClientRect().top;
    if (top === undefined) return;
    height.value = heightOfRow();
    first.value = Math.max(0, Math.floor((-top / height.value - BEYOND) / STEP) * STEP);
    last.value = Math.ceil(((innerHeight - top) / height.value + BEYOND) / STEP) * STEP;
  };

  useEffect(() => {
    let frame = 0;
    const later = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        measure();
      });
    };
    addEventListener('scroll', later, { passive: true });
    addEventListener('resize', later);
    narrow.addEventListener('change', later);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', later);
      removeEventListener('resize', later);
      narrow.removeEventListener('change', later);
    };
  }, []);
  useLayoutEffect(measure, [count]);

  const from = Math.min(first.value, Math.max(0, count - 1));
  const to = Math.min(last.value, count);
  return { from, to, above: from * height.value, below: (count - to) * height.value, height: height.value };
}
