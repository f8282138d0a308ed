package console

import (
	"io"
	"log/slog"
	"os"

	"github.com/itchyny/gojq"
	"golang.org/x/term"
)

// Streams is what a run of a command line reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer // data
	Err io.Writer // talk: messages, errors, logs
	// Env looks up an environment variable; nil: there are none.
	Env func(name string) string
}

// Console is how one run of a command line talks: its streams, and what its
// flags say about them. What the flags say holds once [Prepare] was called.
type Console struct {
	streams Streams
	flags   flags
	logger  *slog.Logger
	filter  *gojq.Code // of --jq; nil: none
}

// New returns the console of these streams, which logs nothing until
// [Prepare].
func New(streams Streams) *Console {
	if streams.Env == nil {
		streams.Env = func(string) string { return "" }
	}
	return &Console{streams: streams, flags: flags{logLevel: defaultLogLevel}, logger: slog.New(slog.DiscardHandler)}
}

// In is where a command reads data from that are not in a file.
func (c *Console) In() io.Reader { return c.streams.In }

// Out is where data go.
func (c *Console) Out() io.Writer { return c.streams.Out }

// Err is where everything goes that is not data.
func (c *Console) Err() io.Writer { return c.streams.Err }

// Env returns an environment variable, "" if it is not set.
func (c *Console) Env(name string) string { return c.streams.Env(name) }

// JSON reports whether data are wanted as JSON, one object a line, on Out.
func (c *Console) JSON() bool { return c.flags.json || c.flags.jq != "" }

// Filtered reports whether data pass a filter before they are printed: --jq.
func (c *Console) Filtered() bool { return c.filter != nil }

// Quiet reports whether nothing is wanted on Err but errors: --quiet.
func (c *Console) Quiet() bool { return c.flags.quiet }

// Interactive reports whether a person watches Err, so that progress may be
// drawn there.
func (c *Console) Interactive() bool { return IsTerminal(c.Err()) && !c.Quiet() }

// Logger returns the logger that --log-level, -v and -q ask for. It writes to
// Err: text on a terminal, JSON otherwise.
func (c *Console) Logger() *slog.Logger { return c.logger }

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// columns returns the width of the terminal that Out is, at least 60; 0 if it
// is none.
func (c *Console) columns() int {
	f, ok := c.Out().(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return max(width, 60)
}
