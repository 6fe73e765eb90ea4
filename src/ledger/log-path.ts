import { detailPath, entriesPath, macPath, TILE_WIDTH, tilePath } from '../../audit/tiles.mjs';

/** One file of a log that grows with it: a tile of hashes, or what belongs to the entries of one bundle. */
export interface LogPlace {
  readonly kind: 'tile' | 'entries' | 'mac' | 'detail';
  /** Of the tile; 0 for everything else. */
  readonly level: number;
  readonly index: number;
  /** 256: full. */
  readonly width: number;
}

const FORM = /^(?:tile\/(\d{1,2}|entries)|(mac|detail))\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/;

/** The place that a path names; null for a path that is not in its one form (c2sp.org/tlog-tiles). */
export function parseLogPath(path: string): LogPlace | null {
  const [, tile, beside, number, part] = FORM.exec(path) ?? [];
  if (number === undefined) return null;
  const kind = tile === undefined ? beside : tile === 'entries' ? tile : 'tile';
  const place: LogPlace = {
    kind: kind as LogPlace['kind'],
    level: kind === 'tile' ? Number(tile) : 0,
    index: Number(number.replaceAll(/[x/]/g, '')),
    width: part === undefined ? TILE_WIDTH : Number(part),
  };
  if (place.level > 63 || place.width === 0 || place.width > TILE_WIDTH || !Number.isSafeInteger(place.index)) {
    return null;
  }
  return logPath(place) === path ? place : null;
}

/** Where a file lies under the log's directory, and under its URL. */
export function logPath({ kind, level, index, width }: LogPlace): string {
  if (kind === 'tile') return tilePath(level, index, width);
  return { entries: entriesPath, mac: macPath, detail: detailPath }[kind](index, width);
}

/** How many hashes a log of this size has at a level of its tiles. */
export function hashesAt(size: number, level: number): number {
  return Math.floor(size / TILE_WIDTH ** level);
}

/** The files of one kind and level that a log of this size has, in order; the last one may be partial. */
export function* logPlaces(kind: LogPlace['kind'], level: number, size: number): Generator<LogPlace> {
  const count = hashesAt(size, level);
  for (let index = 0; index * TILE_WIDTH < count; index++) {
    yield { kind, level, index, width: Math.min(TILE_WIDTH, count - index * TILE_WIDTH) };
  }
}

/** Whether a file has all it will ever have. */
export function isFull({ width }: LogPlace): boolean {
  return width === TILE_WIDTH;
}
