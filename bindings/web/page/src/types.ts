// What goes back and forth between the page and its workers.

export const CLASSES = ["N", "S", "V", "F", "Q"] as const;
export type ClassName = (typeof CLASSES)[number];
export const MEANING: Record<ClassName, string> = {
  N: "normal",
  S: "supraventricular",
  V: "ventricular",
  F: "fusion",
  Q: "not readable",
};

/** A file of a recording: the user's own, or one that the command serves. */
export interface Lent {
  name: string;
  size: number;
  file?: Blob;
  url?: string;
}

export interface LeadAbout {
  name: string;
  units: string;
  is_voltage: boolean;
  sample_rate_hz: number;
  samples: number;
}

export interface About {
  name: string;
  sample_rate_hz: number;
  duration_s: number;
  samples?: number;
  synthetic: boolean;
  leads: LeadAbout[];
  first_ecg?: number | null;
  start: string | null;
  patient: { age_years: number | null; sex: string | null } | null;
  comments: string[];
  warnings: string[];
}

export interface Episode {
  kind: "AF" | "V run" | "S run" | "pause";
  from_s: number;
  to_s: number;
  beats: number;
  mean_rate_bpm: number | null;
}

export interface Summary {
  beats: number;
  counts: Record<ClassName, number>;
  heart_rate_bpm: { mean: number; min: number; max: number } | null;
  judged_s: number;
  supraventricular_burden: number | null;
  ventricular_burden: number | null;
  longest_rr_ms: number | null;
  unreadable: number | null;
  unsure: number;
  rhythm: {
    judged_s: number;
    fibrillation_share: number | null;
    fibrillation_s: number;
    fibrillation_episodes: number;
    longest_fibrillation_s: number | null;
    supraventricular_runs: { count: number; longest_beats: number };
    ventricular_runs: { count: number; longest_beats: number };
  };
}

export interface Judged {
  summary: Summary;
  episodes: Episode[];
  hrv: Record<string, unknown>;
}

export interface AnalysedAbout extends Judged {
  leads: string[];
  taken: { leads: { index: number; name: string }[]; why: string };
  model: string;
  mode: string;
  runtime: string;
  strips: { from_s: number; to_s: number; scores: Record<string, number> }[];
  warnings: string[];
}

export interface Analysed {
  samples: Float64Array;
  classes: Uint8Array;
  scores: Float32Array;
  fibrillation: Int8Array;
  rr_ms: Float64Array;
  quality: Float32Array;
  about: AnalysedAbout;
  seconds: number;
}

export interface View {
  shape: number[];
  values: number[];
}

export interface Views {
  sample: number;
  scale_mv: number;
  waveform: View;
  spectrum: View;
  spectrogram: View;
  metadata: View;
}

export interface LiveEvent {
  kind: "beat" | "signal" | "pause" | "fibrillation" | "run" | "restarted" | "other";
  at_ms: number;
  class?: ClassName;
  text?: string;
  readable?: boolean;
  flat?: boolean;
  until_ms?: number | null;
  beats?: number;
  rate_bpm?: number;
  over?: boolean;
  rr_ms?: number | null;
}

export interface LineMessage {
  kind: "hello" | "status" | "finished" | "beat" | "gap" | "refused" | "corrupted" | "model";
  board?: string;
  model?: string;
  same_features?: boolean;
  next_sample?: number;
  sample?: number;
  class?: ClassName;
  rr_ms?: number | null;
  fibrillation?: boolean | null;
  reason?: string;
  expected?: number;
  found?: number;
  beats?: number;
}

export interface Columns {
  samples: Float64Array;
  classes: Uint8Array;
  fibrillation: Int8Array;
  rr_ms: Float64Array;
}
