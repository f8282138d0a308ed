package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/cmd/node"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func newImport(s *node.Session) *cobra.Command {
	inFlight := defaultInFlight
	cmd := &cobra.Command{
		Use:   "import FILE.xes[.gz]",
		Short: "Send a history, one command for each of its events",
		Long: `Send a history, one command for each of its events. The commands of an
application are sent in order, those of many applications at once. Command ids
come from the file: an import that was interrupted, or is run again, stores
nothing twice. FILE - reads standard input.`,
		Example: `{{name}} import history.xes
{{name}} import history.xes.gz --json
{{name}} import history.xes -s nats://10.0.0.7:4222 --in-flight 64`,
		Args: args(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if inFlight < 1 || inFlight > maxInFlight {
				return node.Usage("--in-flight %d is not in 1 to %d", inFlight, maxInFlight)
			}
			return runImport(cmd.Context(), s, args[0], inFlight)
		},
	}
	cmd.Flags().IntVar(&inFlight, "in-flight", inFlight, "how many applications are sent at once")
	return cmd
}

const (
	// defaultInFlight keeps a node busy while each command waits for its disk.
	defaultInFlight = 512
	// maxInFlight is below what a gateway holds before it answers busy.
	maxInFlight = 4_096
	// commandTimeout is how long a command is repeated before the import fails.
	// It outlasts the restart of a node.
	commandTimeout = time.Minute
)

func runImport(ctx context.Context, s *node.Session, path string, inFlight int) error {
	file, size, err := open(s, path)
	if err != nil {
		return err
	}
	defer file.Close()
	conn, err := s.Connect(ctx)
	if err != nil {
		return err
	}
	client, err := newClient(conn, s)
	if err != nil {
		return err
	}
	source := &countingReader{Reader: file}
	i := &importer{sender: gateway.For(client, application.Applications), inFlight: inFlight}
	talk, stop := i.watch(s, source, size)
	i.rejections.out = talk
	began := time.Now()
	err = i.run(ctx, history.Read(source))
	totals := i.totals(time.Since(began))
	i.rejections.close()
	stop(err != nil)
	if printErr := totals.print(s); err == nil {
		err = printErr
	}
	if err == nil && totals.Rejected > 0 {
		err = fmt.Errorf("%w: %s of %s commands", actor.ErrRejected, humanize.Comma(totals.Rejected), humanize.Comma(totals.Sent))
	}
	return err
}

func newClient(conn *nats.Conn, s *node.Session) (*gateway.Client, error) {
	return gateway.NewClient(gateway.ClientConfig{
		Conn:      conn,
		Namespace: s.Namespace(),
		Timeout:   max(commandTimeout, s.Timeout()),
		// A command id belongs to one body, byte for byte: another encoding would
		// make the next import's commands strangers to the last one's.
		Codec: store.MsgPack,
	})
}

// open returns the file and its size, 0 if that is not known.
func open(s *node.Session, path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(s.In()), 0, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("open %s: it is a directory", path)
	}
	if err != nil {
		_ = file.Close() // it was only read
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// countingReader knows how much of a file has been read.
type countingReader struct {
	io.Reader
	read atomic.Int64
}

// Read implements [io.Reader].
func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.read.Add(int64(n))
	return n, err
}

// totals is what an import did, in the order in which --json prints it.
type totals struct {
	// Applications and Events are how many of them were read from the file.
	Applications int64 `json:"applications"`
	Events       int64 `json:"events"`
	// Sent is how many commands have their answer, each counted once: it was
	// stored now, was stored before, or was rejected by the domain.
	Sent      int64   `json:"sent"`
	Stored    int64   `json:"stored"`
	Duplicate int64   `json:"duplicate"`
	Rejected  int64   `json:"rejected"`
	Seconds   float64 `json:"seconds"`
}

func (t totals) print(s *node.Session) error {
	if s.JSON() {
		return s.Print(t)
	}
	_, err := fmt.Fprintf(s.Out(), "%s applications, %s events: %s sent, %s stored, %s already there, %s rejected, in %.1f s (%s a second)\n",
		humanize.Comma(t.Applications), humanize.Comma(t.Events), humanize.Comma(t.Sent), humanize.Comma(t.Stored),
		humanize.Comma(t.Duplicate), humanize.Comma(t.Rejected), t.Seconds, humanize.Comma(int64(float64(t.Sent)/max(t.Seconds, 0.001))))
	return err
}
