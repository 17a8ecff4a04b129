-- One answer, or its absence, of one node. Kept for hours.
CREATE TABLE sample (
  system text NOT NULL,
  node text NOT NULL,
  at timestamptz NOT NULL,
  up boolean NOT NULL,
  seconds double precision NOT NULL,
  detail text NOT NULL,
  PRIMARY KEY (system, node, at)
);
CREATE INDEX sample_at ON sample (at);

-- What the samples of a node on one day (UTC) come to. Kept for months.
CREATE TABLE day (
  system text NOT NULL,
  node text NOT NULL,
  day date NOT NULL,
  probes bigint NOT NULL,
  up bigint NOT NULL,
  seconds double precision NOT NULL,
  PRIMARY KEY (system, node, day),
  CHECK (up BETWEEN 0 AND probes)
);
CREATE INDEX day_day ON day (day);

-- A time during which a node did not answer. A node has at most one that is open.
CREATE TABLE incident (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  system text NOT NULL,
  node text NOT NULL,
  opened_at timestamptz NOT NULL,
  closed_at timestamptz,
  reason text NOT NULL,
  CHECK (closed_at >= opened_at)
);
CREATE UNIQUE INDEX incident_open ON incident (system, node) WHERE closed_at IS NULL;
CREATE INDEX incident_opened_at ON incident (opened_at DESC);

-- What an operator wrote about it.
CREATE TABLE note (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incident bigint NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
  at timestamptz NOT NULL,
  author text NOT NULL,
  text text NOT NULL
);
CREATE INDEX note_incident ON note (incident);
