// What the gateway tells of classes; see docs/educators.md.

/** A class, and what one is in it. */
export interface Class {
  readonly id: string;
  readonly name: string;
  readonly role: 'teacher' | 'student';
}

/** How far somebody is in a notebook. */
export interface Progress {
  readonly notebook: string;
  readonly cell: string;
  readonly number: number;
  readonly cells: number;
  readonly furthest: number;
  readonly status: string;
  readonly sqlstate: string | null;
  readonly at: string;
}

/** A run under way. */
export interface Busy {
  readonly run: string;
  readonly notebook: string;
  readonly cell: string;
  readonly seconds: number;
  readonly statement_seconds: number;
}

export interface Standing {
  readonly status: string;
  readonly idle_seconds: number;
  readonly waiting_seconds: number;
  readonly extended_seconds: number;
}

/** A member of a class; of another teacher’s work nothing is told. */
export interface Member {
  readonly subject: string;
  readonly name: string;
  readonly role: 'teacher' | 'student';
  readonly last_seen: string | null;
  readonly online: boolean;
  readonly notebooks?: readonly Progress[];
  readonly sandbox?: Standing;
  readonly busy?: readonly Busy[];
  readonly queued?: number;
}

/** What is given to a student for a while. */
export interface Extension {
  readonly minutes: number;
  readonly quotas?: Readonly<Record<string, number>>;
}
