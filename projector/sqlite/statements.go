package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// statements are prepared once for each connection: SQLite takes longer to
// understand a statement than to execute it.
type statements struct {
	// Of the writer.
	standing, put, remove, first, next, note, unnote *sql.Stmt
	// Of readers.
	reach, load, writer, get, list, notes *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, write, read *sql.DB) error {
	for _, p := range []struct {
		to   **sql.Stmt
		on   *sql.DB
		text string
	}{
		// Whether the model is dropped, the revision of a worker's checkpoint, and
		// the highest of all.
		{&s.standing, write, `SELECT (SELECT dropped FROM annals_model),
			coalesce((SELECT revision FROM annals_checkpoints WHERE worker = ?), 0),
			coalesce((SELECT max(revision) FROM annals_checkpoints), 0)`},
		{&s.put, write, `INSERT INTO documents (key, position, revision, document) VALUES (?, ?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET position = excluded.position, revision = excluded.revision, document = excluded.document`},
		{&s.remove, write, `DELETE FROM documents WHERE key = ?`},
		{&s.first, write, `INSERT INTO annals_checkpoints (revision, writer, checkpoint, worker) SELECT ?, ?, ?, ? WHERE ? = 0
			ON CONFLICT (worker) DO NOTHING`},
		{&s.next, write, `UPDATE annals_checkpoints SET revision = ?, writer = ?, checkpoint = ? WHERE worker = ? AND revision = ?`},
		{&s.note, write, `INSERT INTO annals_notes (worker, key, note) VALUES (?, ?, ?)
			ON CONFLICT (worker, key) DO UPDATE SET note = excluded.note`},
		{&s.unnote, write, `DELETE FROM annals_notes WHERE worker = ? AND key = ?`},

		{&s.reach, read, `SELECT (SELECT dropped FROM annals_model), coalesce((SELECT max(revision) FROM annals_checkpoints), 0)`},
		{&s.load, read, `SELECT revision, checkpoint FROM annals_checkpoints WHERE worker = ?`},
		{&s.writer, read, `SELECT revision, writer FROM annals_checkpoints WHERE worker = ?`},
		{&s.get, read, `SELECT key, position, revision, document FROM documents WHERE key IN (SELECT value FROM json_each(?))`},
		{&s.list, read, `SELECT key, position, revision, document FROM documents WHERE revision > ? ORDER BY revision LIMIT ?`},
		{&s.notes, read, `SELECT key, note FROM annals_notes WHERE worker = ? ORDER BY key`},
	} {
		var err error
		if *p.to, err = p.on.PrepareContext(ctx, p.text); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return nil
}
