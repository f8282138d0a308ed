package postgres

import "fmt"

// texts are the statements of a view, made once: the server prepares each of
// them once for each connection.
type texts struct {
	load, get, list, notes   string
	fence, first, now        string
	upsert, remove, document string
	putNotes, dropNotes      string
}

// settings are those of a transaction: where unqualified names are looked up,
// how long the server waits for whom, and that a commit waits for the disk.
const settings = `SELECT set_config('search_path', $1, true), set_config('statement_timeout', $2, true),
	set_config('lock_timeout', $3, true), set_config('idle_in_transaction_session_timeout', $4, true), ` + waits

// durably makes a commit wait for the disk, and for replicas if that is the
// server's setting.
const (
	durably = `SELECT ` + waits
	waits   = `set_config('synchronous_commit', CASE current_setting('synchronous_commit')
		WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true)`
)

func textsOf(s schema) texts {
	checkpoints, documents, notes := s.of("checkpoints"), s.of("documents"), s.of("notes")
	// The number of this commit, and the last of its revisions.
	revision := fmt.Sprintf(`nextval('%s') * %d + %d`, s.literal("commits"), slots, slots-1)
	// The schema is the one that was opened, and not another of its name.
	same := `EXISTS (SELECT FROM ` + s.of("meta") + ` WHERE id = $1)`
	return texts{
		load:  `SELECT checkpoint::text, revision FROM ` + checkpoints + ` WHERE worker = $1`,
		now:   `SELECT revision FROM ` + checkpoints + ` WHERE worker = $1`,
		get:   `SELECT key, position, revision, document, exact FROM ` + documents + ` WHERE key = ANY ($1::text[])`,
		list:  `SELECT key, position, revision, document, exact FROM ` + documents + ` WHERE revision > $1 ORDER BY revision LIMIT $2`,
		notes: `SELECT key, value FROM ` + notes + ` WHERE worker = $1 ORDER BY key`,

		fence: `UPDATE ` + checkpoints + ` SET revision = ` + revision + `, position = $3, checkpoint = $4::text::json, written = now()
			WHERE worker = $2 AND revision = $5 AND ` + same + ` RETURNING revision`,
		first: `INSERT INTO ` + checkpoints + ` (worker, revision, position, checkpoint, written)
			SELECT $2::text, ` + revision + `, $3::bigint, $4::text::json, now() WHERE ` + same + `
			ON CONFLICT (worker) DO NOTHING RETURNING revision`,

		upsert: `INSERT INTO ` + documents + ` AS d (key, position, revision, document, exact)
			SELECT key, position, $1::bigint + place, document::jsonb, exact
			FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[]) AS u (key, position, place, document, exact)
			ON CONFLICT (key) DO UPDATE SET position = excluded.position, revision = excluded.revision,
				document = excluded.document, exact = excluded.exact`,
		remove:   `DELETE FROM ` + documents + ` WHERE key = ANY ($1::text[])`,
		document: `SELECT $1::text::jsonb IS NULL`,

		putNotes: `INSERT INTO ` + notes + ` (worker, key, value)
			SELECT $1::text, key, value::json FROM unnest($2::text[], $3::text[]) AS u (key, value)
			ON CONFLICT (worker, key) DO UPDATE SET value = excluded.value`,
		dropNotes: `DELETE FROM ` + notes + ` WHERE worker = $1 AND key = ANY ($2::text[])`,
	}
}
