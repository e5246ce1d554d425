import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Series {
  label: string;
  /** The name of a custom property. */
  color: string;
  values: (number | null)[];
}

interface Props {
  title: string;
  /** Seconds since the epoch, one a day. */
  at: number[];
  series: Series[];
  kind: 'bars' | 'lines';
  unit: (value: number) => string;
}

const HEIGHT = 150;
const dark = matchMedia('(prefers-color-scheme: dark)');
const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Each series on the sum of those before it. The topmost is drawn first, so that the others cover its foot. */
function stacked(series: Series[]): (number | null)[][] {
  let sum: number[] = [];
  return series.map(({ values }) => {
    sum = values.map((value, day) => (value ?? 0) + (sum[day] ?? 0));
    return sum;
  });
}

const utcDay = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' });

function options({ at, series, kind, unit }: Props, width: number): uPlot.Options {
  const ink = color('--soft');
  const grid = { stroke: color('--line'), width: 1 };
  const font = '11px system-ui, sans-serif';
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      // Half a day beyond each end, for whole bars.
      x: { time: true, range: () => [(at[0] ?? 0) - 43_200, (at.at(-1) ?? 0) + 43_200] },
      y: { range: (_, __, max) => [0, Math.max(1, max * 1.08)] },
    },
    axes: [
      {
        stroke: ink,
        font,
        grid: { show: false },
        ticks: { show: false },
        size: 24,
        space: 60,
        splits: () =>
          at.filter(
            (_, day) => (at.length - 1 - day) % Math.ceil(at.length / Math.max(2, Math.floor(width / 70))) === 0,
          ),
        values: (_, splits) => splits.map((day) => utcDay.format(day * 1000)),
      },
      { stroke: ink, font, grid, ticks: { show: false }, size: 52, space: 34, values: (_, splits) => splits.map(unit) },
    ],
    series: [
      {},
      ...(kind === 'bars' ? [...series].reverse() : series).map((one) => ({
        label: one.label,
        stroke: color(one.color),
        width: kind === 'bars' ? 0 : 2,
        points: { show: kind === 'lines' && at.length <= 31, size: 5, fill: color(one.color) },
        spanGaps: true,
        ...(kind === 'bars'
          ? { fill: color(one.color), paths: uPlot.paths.bars?.({ size: [0.7, 40], radius: 0.15 }) }
          : {}),
      })),
    ],
  };
}

function Plot(props: Props) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const box = place.current;
    if (!box) return;
    const { at, series, kind } = props;
    const data = kind === 'bars' ? stacked(series).reverse() : series.map(({ values }) => values);
    let plot: uPlot | null = null;
    const draw = () => {
      plot?.destroy();
      plot = new uPlot(options(props, box.clientWidth), [at, ...data] as uPlot.AlignedData, box);
    };
    draw();
    const resized = new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: HEIGHT }));
    resized.observe(box);
    dark.addEventListener('change', draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener('change', draw);
      plot?.destroy();
    };
  }, [props.at, props.series]);
  return <div ref={place} class="plot" aria-hidden="true" />;
}

/** A chart with its legend, and the same as a table for whoever cannot see it or wants the figures. */
export function Chart(props: Props) {
  const { title, at, series, unit } = props;
  const shown = series.filter(({ values }) => values.some((value) => value));
  return (
    <figure class="card chart">
      <figcaption>
        <b>{title}</b>
        <span class="legend">
          {(shown.length > 0 ? shown : series).map(({ label, color: of }) => (
            <span key={label} class="sub">
              <i class="swatch" style={{ background: `var(${of})` }} /> {label}
            </span>
          ))}
        </span>
      </figcaption>
      {shown.length === 0 ? <p class="sub nothing">Nothing in these days.</p> : <Plot {...props} />}
      <details>
        <summary class="sub">Figures</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so that a keyboard has to reach it */}
        <section class="figures" tabIndex={0} aria-label={`${title}, in figures`}>
          <table>
            <thead>
              <tr>
                <th>Day (UTC)</th>
                {series.map(({ label }) => (
                  <th key={label}>{label}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {at.map((day, row) => (
                <tr key={day}>
                  <td>{utcDay.format(day * 1000)}</td>
                  {series.map(({ label, values }) => {
                    const value = values[row];
                    return <td key={label}>{value === null || value === undefined ? '–' : unit(value)}</td>;
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </figure>
  );
}
