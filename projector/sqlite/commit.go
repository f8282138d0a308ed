package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Commit implements [projector.View]. When it returns, the commit is on the disk:
// SQLite syncs its log before it tells anybody that the transaction is there.
func (v *view) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	c, err := v.commit(ctx, w)
	if err != nil {
		switch _, theirs := errors.AsType[applied](err); {
		case theirs:
			return projector.Checkpoint{}, fmt.Errorf("view %s: commit: %w", v.name, err)
		case errors.Is(err, errGone):
			err = fmt.Errorf("%w: %w", projector.ErrFenced, err)
		}
		return projector.Checkpoint{}, v.failed("commit", err)
	}
	v.shorten(ctx)
	return c, nil
}

func (v *view) commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	if err := v.current(); err != nil {
		return projector.Checkpoint{}, err
	}
	if err := v.check(w); err != nil {
		return projector.Checkpoint{}, err
	}
	tx, err := v.write.BeginTx(ctx, nil)
	if err != nil {
		return projector.Checkpoint{}, notStored(err)
	}
	defer func() { _ = tx.Rollback() }()
	writer := rand.Text()
	c, err := v.writeAll(ctx, tx, w, writer)
	if err != nil {
		return projector.Checkpoint{}, notStored(err)
	}
	if err := tx.Commit(); err != nil {
		return v.resolve(ctx, c, writer, err)
	}
	return c, nil
}

// check refuses what is too much, and keys that no store takes.
func (v *view) check(w projector.Write) error {
	if n := len(w.Documents) + len(w.Notes); n > maxChanges {
		return &store.TooLargeError{What: "number of changes in a commit", Size: n, Limit: maxChanges}
	}
	if err := w.CheckSealed(); err != nil {
		return err
	}
	for _, d := range w.Documents {
		if err := v.checkOne("document", d.Key, d.Document); err != nil {
			return err
		}
	}
	for _, n := range w.Notes {
		if err := v.checkOne("note", n.Key, n.Value); err != nil {
			return err
		}
	}
	return nil
}

func (v *view) checkOne(what, key string, value []byte) error {
	if _, err := store.EncodeToken(key); err != nil {
		return err
	}
	if most := v.cfg.MaxDocumentBytes; len(value) > most {
		return &store.TooLargeError{What: fmt.Sprintf("%s %q", what, key), Size: len(value), Limit: most}
	}
	return nil
}

// writeAll writes all of a commit into its transaction, what the application writes
// last: if that ends the transaction, against its contract, then with all of it.
func (v *view) writeAll(ctx context.Context, tx *sql.Tx, w projector.Write, writer string) (projector.Checkpoint, error) {
	c := w.Checkpoint
	last, err := v.fence(ctx, tx, c)
	if err != nil {
		return c, err
	}
	if last, err = v.putDocuments(ctx, tx, w.Documents, last); err != nil {
		return c, err
	}
	if err := v.putNotes(ctx, tx, c.Worker, w.Notes); err != nil {
		return c, err
	}
	if c, err = v.putCheckpoint(ctx, tx, c, last+1, writer); err != nil || w.Apply == nil {
		return c, err
	}
	if err := w.Apply(ctx, tx); err != nil {
		return c, applied{failedIn("apply", ctx.Err(), err)}
	}
	return c, nil
}

// fence refuses a writer whose checkpoint is not the last, and returns the
// revision of what was stored last. Nobody else writes until the transaction ends.
func (v *view) fence(ctx context.Context, tx *sql.Tx, c projector.Checkpoint) (last uint64, err error) {
	var dropped bool
	var has uint64
	err = tx.StmtContext(ctx, v.standing).QueryRowContext(ctx, c.Worker).Scan(&dropped, &has, &last)
	switch {
	case err != nil:
		return 0, err
	case dropped:
		return 0, errGone
	case has != c.Revision:
		return 0, fencedAt(has, c.Revision)
	}
	return last, nil
}

func fencedAt(has, expected uint64) error {
	return fmt.Errorf("checkpoint has revision %d, expected %d: %w", has, expected, projector.ErrFenced)
}

func (v *view) putDocuments(ctx context.Context, tx *sql.Tx, docs []projector.Document, last uint64) (uint64, error) {
	put, remove := tx.StmtContext(ctx, v.put), tx.StmtContext(ctx, v.remove)
	// The driver starts a goroutine for each statement that may be interrupted.
	// These are short, and with ctx the transaction ends, too.
	ctx = context.WithoutCancel(ctx)
	for _, d := range docs {
		var err error
		if d.Document == nil {
			_, err = remove.ExecContext(ctx, d.Key)
		} else {
			last++
			_, err = put.ExecContext(ctx, d.Key, int64(d.Position), int64(last), string(d.Document))
		}
		if err != nil {
			return last, fmt.Errorf("document %q: %w", d.Key, err)
		}
	}
	return last, nil
}

func (v *view) putNotes(ctx context.Context, tx *sql.Tx, worker string, notes []projector.Note) error {
	for _, n := range notes {
		var err error
		if n.Value == nil {
			_, err = tx.StmtContext(ctx, v.unnote).ExecContext(ctx, worker, n.Key)
		} else {
			_, err = tx.StmtContext(ctx, v.note).ExecContext(ctx, worker, n.Key, string(n.Value))
		}
		if err != nil {
			return fmt.Errorf("note %q: %w", n.Key, err)
		}
	}
	return nil
}

// putCheckpoint stores the checkpoint if the one before it is still there.
func (v *view) putCheckpoint(ctx context.Context, tx *sql.Tx, c projector.Checkpoint, revision uint64, writer string) (projector.Checkpoint, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	if most := v.cfg.MaxDocumentBytes; len(data) > most {
		return c, &store.TooLargeError{What: "checkpoint", Size: len(data), Limit: most}
	}
	statement := v.next
	if c.Revision == 0 {
		statement = v.first
	}
	result, err := tx.StmtContext(ctx, statement).ExecContext(ctx, int64(revision), writer, string(data), c.Worker, int64(c.Revision))
	if err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return c, errors.Join(err, fencedAt(0, c.Revision))
	}
	c.Revision = revision
	return c, nil
}

// applied is an error of the application's: it keeps its meaning.
type applied struct{ error }

func (a applied) Unwrap() error { return a.error }

// notStored is why a transaction came to its end before it was committed. It is
// not there, unless the disk failed: then only the next to open the file knows.
func notStored(err error) error {
	if failsDisk(err) {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return err
}

// resolveWait bounds the question what a commit came to.
const resolveWait = 5 * time.Second

// resolve finds out what a commit came to that ended with an error. If the
// checkpoint there is this one's, it is stored. If not, it is not, for its
// transaction is over; but what a disk has that failed is not known.
func (v *view) resolve(ctx context.Context, c projector.Checkpoint, writer string, cause error) (projector.Checkpoint, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolveWait)
	defer cancel()
	var there string
	var has uint64
	err := v.snapshot(ctx, nil, func(ctx context.Context, tx *sql.Tx) error {
		err := tx.StmtContext(ctx, v.writer).QueryRowContext(ctx, c.Worker).Scan(&has, &there)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	switch {
	case err == nil && there == writer:
		return c, nil
	case err != nil:
		return c, fmt.Errorf("%w: %w: the outcome could not be read: %w", store.ErrUnknown, cause, err)
	}
	return c, notStored(cause)
}

// shortenWait bounds the wait for readers.
const shortenWait = 5 * time.Second

// shorten empties the log of changes if it has become too long because there was
// always somebody who read what is in it. It takes all connections that read, so
// that those who read end, and others wait, for SQLite only asks now and then
// whether nobody reads just now. What it does not achieve, the next commit tries.
func (v *view) shorten(ctx context.Context) {
	log, err := os.Stat(v.path + "-wal")
	if err != nil || log.Size() <= v.cfg.MaxLogBytes {
		return
	}
	_ = v.empty(ctx)
}

// errRead says that the log of changes could not be emptied, for somebody reads it.
var errRead = fmt.Errorf("%w: the log of changes is read", store.ErrUnavailable)

// empty empties the log of changes.
func (v *view) empty(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shortenWait)
	defer cancel()
	for range v.cfg.Readers {
		conn, err := v.read.Conn(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
	}
	var busy, pages, moved int
	err := v.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if err == nil && busy != 0 {
		err = errRead
	}
	return err
}

// Scrub implements [projector.Scrubber]: what was deleted or replaced is overwritten with
// zeros where it stood (secure_delete), and the log of changes, which has it until then,
// is emptied. Other programs that read the file may hold that up.
func (v *view) Scrub(ctx context.Context, _ bool) error {
	if err := v.current(); err != nil {
		return v.failed("scrub", err)
	}
	if err := v.empty(ctx); err != nil {
		return v.failed("scrub", err)
	}
	return nil
}
