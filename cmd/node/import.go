package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
)

// importing is what the flags of event import say.
type importing struct {
	exporting
	atOnce int
	dryRun bool
	create bool
	made   jetstream.Config // of a namespace that is made
	// missing: the namespace is made
	missing bool
	count   exchange.Count // so far
}

func newEventImport(s *Session) *cobra.Command {
	i := importing{atOnce: 64}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Put exported events into the log",
		Long: `Put events that {{name}} event export wrote into the log of the namespace: the
same streams with the same versions, ids and times. A stream that holds other
events is refused. What a line says is checked; the first that is wrong ends the
import and is named. What stands before it is stored, and the same import again
goes on there. FILE - reads standard input. With --create a namespace that is not
there is made: for values as the file has them, and keeping commands if the file's
first line has one.

What is personal is found by the types of this build, and sealed under the keys of the
namespace, with --kek; persons who were forgotten there after an event stay
forgotten. A file that was exported without personal data is refused.`,
		Example: `{{name}} event import events.jsonl --dry-run
{{name}} event import events.jsonl --ns copy --create
gunzip -c events.jsonl.gz | {{name}} event import --cloudevents -`,
		Args: console.Args(1, 1),
		RunE: func(cmd *cobra.Command, given []string) error {
			err := s.importEvents(cmd.Context(), &i, given[0])
			return s.onInterrupt(cmd.Context(), err, i.interrupted())
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&i.cloudEvents, "cloudevents", false, "the lines are CloudEvents")
	flags.IntVar(&i.atOnce, "in-flight", i.atOnce, "how many streams are stored at once; with 1 the order between streams is that of the file")
	flags.BoolVar(&i.dryRun, "dry-run", false, "check the file, compare it with what is there, and store nothing")
	flags.BoolVar(&i.create, "create", false, "make the namespace if it is not there")
	flags.IntVar(&i.made.Replicas, "replicas", 1, "`COPIES` of the data of a namespace that is made")
	flags.IntVar(&i.made.Partitions, "partitions", 128, "`NUMBER` of partitions of a namespace that is made")
	flags.IntVar(&i.made.LogStreams, "log-streams", 1, "`NUMBER` of streams that the events of a namespace that is made are spread over")
	flags.BoolVar(&i.made.KeepCommands, "keep-commands", false, "make a namespace that keeps commands")
	console.PerCall(cmd, "cloudevents", "in-flight", "dry-run", "create", "replicas", "partitions", "log-streams", "keep-commands")
	return cmd
}

// interrupted says what was done until then.
func (i *importing) interrupted() string {
	if i.dryRun {
		return "interrupted: nothing was stored"
	}
	return fmt.Sprintf("interrupted: %s in %s are stored, or were there already; the same import goes on",
		console.Plural(i.count.Events, "event"), console.Plural(i.count.Commits, "commit"))
}

func (s *Session) importEvents(ctx context.Context, i *importing, path string) error {
	file, size, err := openInput(s, path)
	if err != nil {
		return err
	}
	defer file.Close()
	in := &countedReader{Reader: file}
	origin, lines := exchange.OriginOf(i.form(), in)
	log, err := s.openToImport(ctx, i, origin)
	if err != nil {
		return err
	}
	epoch, err := s.firstEpoch(ctx)
	if err != nil {
		return err
	}
	sealed, guard, err := s.sealImport(ctx, i, log)
	if err != nil {
		return err
	}
	progress := s.Progress()
	config := exchange.ImportConfig{
		Log: sealed, Prepare: guard.take, Form: i.form(), AtOnce: i.atOnce, DryRun: i.dryRun, MaxEpoch: epoch,
		Progress: func(c exchange.Count) {
			progress.Show("%s events of %s streams%s", humanize.Comma(int64(c.Events)), humanize.Comma(int64(c.Streams)), in.share(size))
		},
	}
	do := func() (err error) {
		if i.count, err = exchange.Import(ctx, config, lines); i.count.Lines == 0 {
			err = untouched(err) // nothing was read that could have been stored
		}
		return err
	}
	err = s.importRecorded(ctx, i, path, do)
	progress.End()
	if err != nil {
		return err
	}
	if left := guard.left.Load(); left > 0 {
		s.Logger().Info("what a system keeps about itself is not imported", "events", left)
	}
	return s.printImport(i)
}

// importRecorded keeps the places of what comes into a namespace that is made for it: its log has
// the act behind it.
func (s *Session) importRecorded(ctx context.Context, i *importing, path string, do func() error) error {
	const action = "event.import"
	switch {
	case i.dryRun:
		return do()
	case !i.missing:
		return s.acting(ctx, action, path, do)
	}
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	log, err := s.toRecord(ctx)
	if err != nil {
		return err
	}
	defer log.Close()
	return s.acted(ctx, log, action, path, began)
}

// sealImport returns the log as a file is imported to it: with --kek personal data are sealed. A
// namespace that is made gets its key store, if there are any.
func (s *Session) sealImport(ctx context.Context, i *importing, log store.Log) (store.Log, *intake, error) {
	keys, err := s.importKeys(ctx, i, log)
	if err != nil {
		return nil, nil, err
	}
	wrapper, err := s.openWrapper(ctx)
	if err != nil {
		return nil, nil, err
	}
	if keys == nil || wrapper == nil {
		guard, err := newIntake(log.Codec(), s.app, keys != nil, nil)
		return log, guard, err
	}
	keyring, err := s.checkedKeyring(ctx, keys, wrapper)
	if err != nil {
		return nil, nil, err
	}
	guard, err := newIntake(log.Codec(), s.app, true, keyring)
	return privacy.NewImportLog(log, keyring), guard, err
}

// importKeys opens the key store, nil if there is none and none is needed.
func (s *Session) importKeys(ctx context.Context, i *importing, log store.Log) (privacy.Keys, error) {
	personal, err := s.app.personal()
	if err != nil {
		return nil, err
	}
	wanted := len(personal) > 0 && s.flags.kek != ""
	if i.dryRun && i.missing {
		if wanted {
			return privacy.NewMemory(), nil
		}
		return nil, nil
	}
	config, err := s.existing(ctx)
	if err != nil {
		return nil, err
	}
	config.Logger = s.Logger()
	keys, err := jetstream.OpenKeys(ctx, keysConfigOf(config))
	if err == nil {
		return keys, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if !wanted || i.dryRun {
		return nil, nil
	}
	if err := s.refuseKeyless(ctx, log); err != nil {
		return nil, err
	}
	made := keysConfigOf(config)
	made.Create = true
	keys, err = jetstream.OpenKeys(ctx, made)
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// firstEpoch is where the leases of the namespace count from.
func (s *Session) firstEpoch(ctx context.Context) (uint64, error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return 0, err
	}
	return cluster.FirstEpoch(ctx, conn, s.Namespace())
}

func (s *Session) openToImport(ctx context.Context, i *importing, origin exchange.Origin) (store.Log, error) {
	if !i.create {
		return openToRead(ctx, s)
	}
	nc, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	config, err := jetstream.Existing(ctx, nc, s.Namespace())
	i.missing = errors.Is(err, store.ErrNotFound)
	if i.missing && i.dryRun {
		return store.NewMemory(store.MemoryConfig{Codec: origin.Codec}), nil // what would be made, empty as it is
	}
	if i.missing {
		config, err = i.made, nil
		config.Conn, config.Namespace, config.Codec = nc, s.Namespace(), origin.Codec
		config.KeepCommands = config.KeepCommands || origin.KeepsCommands
	}
	if err != nil {
		return nil, err
	}
	config.Logger = s.Logger()
	if err := s.addArchive(ctx, &config, s.flags.archive); err != nil {
		return nil, err
	}
	return jetstream.Open(ctx, config)
}

func (s *Session) printImport(i *importing) error {
	count := i.count
	if s.JSON() {
		return s.Print(count)
	}
	verb := "stored, or there already"
	if i.dryRun {
		verb = "as they should be; nothing was stored"
	}
	_, err := fmt.Fprintf(s.Out(), "%s in %s of %s: %s\n",
		console.Plural(count.Events, "event"), console.Plural(count.Commits, "commit"), console.Plural(count.Streams, "stream"), verb)
	return err
}

// openInput opens a file, or standard input for "-", and returns its size, 0 if
// that is not known.
func openInput(s *Session, path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(s.In()), 0, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, &Failure{Code: console.CodeUsage, Exit: console.ExitUsage, What: "cannot read " + path, Why: err.Error(), Err: err}
	}
	info, err := file.Stat()
	if err != nil || info.IsDir() {
		_ = file.Close() // it was only read
		return nil, 0, Usage("cannot read %s: it is no file", path)
	}
	return file, info.Size(), nil
}

// countedReader knows how much of a file has been read.
type countedReader struct {
	io.Reader
	read atomic.Int64
}

// Read implements [io.Reader].
func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Add(int64(n))
	return n, err
}

// share is the part that has been read, in words; nothing if the size is not
// known.
func (r *countedReader) share(size int64) string {
	if size == 0 {
		return ""
	}
	return fmt.Sprintf(", %d%% of the file", 100*r.read.Load()/size)
}
