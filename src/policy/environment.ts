import { BlockList, isIP } from 'node:net';
import type { DocumentPath } from './document.js';
import { insteadOf } from './nearest.js';

type Refuse = (at: DocumentPath, message: string) => void;

/** What a rule may know of a request beside who asks: when, and from which address. It never reaches SQL. */
export interface Environment {
  readonly now: Date;
  /** IP address of the peer; null where there is none, such as for a command or a job. */
  readonly address: string | null;
}

export interface TimeDocument {
  /** IANA time zone. */
  readonly tz: string;
  /** ISO 8601 days of the week on which the window opens: 1 is Monday, 7 is Sunday. */
  readonly days: readonly number[];
  /** `HH:MM`, the first minute inside. */
  readonly from: string;
  /** `HH:MM`, the first minute outside; before `from`, the window closes on the day after. `24:00` is the end of the day. */
  readonly to: string;
}
export interface EnvironmentDocument {
  readonly time?: TimeDocument;
  readonly network?: readonly string[];
}

/** Addresses that belong together, as the vocabulary names them. */
export class Network {
  private readonly addresses = new BlockList();

  /** @param ranges CIDR: `10.0.0.0/8`, `fd00::/8` */
  constructor(ranges: readonly string[], at: DocumentPath, refuse: Refuse) {
    ranges.forEach((range, index) => {
      const [address = '', length = '', ...rest] = range.split('/');
      const version = isIP(address);
      const prefix = /^\d{1,3}$/.test(length) ? Number(length) : Infinity;
      if (rest.length > 0 || version === 0 || prefix > (version === 4 ? 32 : 128)) {
        refuse([...at, index], `"${range}" is no range of addresses. Write one like 10.0.0.0/8 or fd00::/8.`);
      } else this.addresses.addSubnet(address, prefix, version === 4 ? 'ipv4' : 'ipv6');
    });
  }

  /** An IPv4 address counts as the same when it is written as an IPv6 one (`::ffff:10.1.2.3`). What is no address is outside. */
  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.addresses.check(address, version === 4 ? 'ipv4' : 'ipv6');
  }
}

/** A condition on the request: inside the window and from one of the networks, where they are stated. */
export class EnvironmentCondition {
  constructor(
    private readonly time: TimeWindow | null,
    private readonly networks: readonly Network[] | null,
  ) {}

  /** Whether it asks from where the request came. */
  get asksNetwork(): boolean {
    return this.networks !== null;
  }

  /** Whether it asks when the request came. */
  get asksTime(): boolean {
    return this.time !== null;
  }

  /** Whether it lets a request of this moment through, from wherever. */
  opens(now: Date): boolean {
    return this.time === null || this.time.open(now);
  }

  /** False where the environment is not known: the window counts as closed and the network as foreign. */
  holds(environment: Environment | undefined): boolean {
    if (environment === undefined) return false;
    const { now, address } = environment;
    if (!this.opens(now)) return false;
    return this.networks === null || (address !== null && this.networks.some((network) => network.has(address)));
  }
}

/** Reads the condition of a rule; null where it states neither a time nor a network. */
export function readEnvironment(
  document: EnvironmentDocument,
  networks: ReadonlyMap<string, Network>,
  at: DocumentPath,
  refuse: Refuse,
): EnvironmentCondition | null {
  const { time, network } = document;
  if (time === undefined && network === undefined) return null;
  network?.forEach((name, index) => {
    if (!networks.has(name)) {
      refuse([...at, 'network', index], `Unknown network "${name}".${insteadOf(name, networks.keys())}`);
    }
  });
  return new EnvironmentCondition(
    time === undefined ? null : TimeWindow.read(time, [...at, 'time'], refuse),
    network === undefined ? null : network.flatMap((name) => networks.get(name) ?? []),
  );
}

const MINUTE = 60_000;
const DAY_MINUTES = 1_440;
const WEEKDAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

class TimeWindow {
  /** The minute that was asked last, and the answer: a document asks several times. */
  private last: { readonly minute: number; readonly open: boolean } | null = null;

  private constructor(
    private readonly clock: Intl.DateTimeFormat,
    private readonly days: readonly number[],
    private readonly from: number,
    private readonly to: number,
  ) {}

  static read({ tz, days, from, to }: TimeDocument, at: DocumentPath, refuse: Refuse): TimeWindow | null {
    if (from === to || from === '24:00') refuse([...at, 'from'], 'The window never opens: write "from" before "to".');
    try {
      const clock = new Intl.DateTimeFormat('en-US', {
        timeZone: tz,
        weekday: 'short',
        hour: '2-digit',
        minute: '2-digit',
        hourCycle: 'h23',
      });
      return new TimeWindow(clock, days, minutesOf(from), minutesOf(to));
    } catch {
      refuse([...at, 'tz'], `"${tz}" is no IANA time zone. Write one like Asia/Shanghai or Europe/Berlin.`);
      return null;
    }
  }

  open(now: Date): boolean {
    const minute = Math.floor(now.getTime() / MINUTE);
    if (this.last?.minute !== minute) this.last = { minute, open: this.openAt(now) };
    return this.last.open;
  }

  private openAt(now: Date): boolean {
    const parts = new Map(this.clock.formatToParts(now).map(({ type, value }) => [type, value]));
    const day = WEEKDAYS.indexOf(parts.get('weekday') ?? '') + 1;
    const minute = Number(parts.get('hour')) * 60 + Number(parts.get('minute'));
    const today = this.days.includes(day);
    if (this.from < this.to) return today && minute >= this.from && minute < this.to;
    const yesterday = this.days.includes(day === 1 ? 7 : day - 1);
    return (today && minute >= this.from) || (yesterday && minute < this.to);
  }
}

function minutesOf(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  return Math.min(hours * 60 + minutes, DAY_MINUTES);
}
