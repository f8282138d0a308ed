package privacy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/annals-go/annals/store"
)

// CommandConfig says which program wraps keys.
type CommandConfig struct {
	// Path is the program: there is no shell between. It is required.
	Path string
	// Args are its arguments. Default: none.
	Args []string
	// Timeout is how long one answer may take. Default: 10 s.
	Timeout time.Duration
}

// Command is a [Wrapper] that asks a program, which speaks to a key management service
// or a security module. The program is started for each question. It reads one JSON object from its
// standard input,
//
//	{"do":"current"}
//	{"do":"wrap","by":NAME,"data":BASE64,"context":BASE64}
//	{"do":"unwrap","by":NAME,"data":BASE64,"context":BASE64}
//
// and answers with one on its standard output: {"by":NAME} to the first, {"data":BASE64}
// to the others, or {"error":"damaged"} if data was not wrapped so, {"error":"not found"} if it has no
// key of that name. Everything else, a status other than 0 too, means that it could not be asked.
type Command struct {
	config  CommandConfig
	current string
}

var _ Wrapper = (*Command)(nil)

const (
	defaultCommandTimeout = 10 * time.Second
	commandWait           = time.Second // for its output, after it has ended
	maxCommandOutput      = 64 << 10
	maxCommandComplaint   = 512 // of standard error, in an error
)

type commandRequest struct {
	Do      string `json:"do"`
	By      string `json:"by,omitempty"`
	Data    []byte `json:"data,omitempty"`
	Context []byte `json:"context,omitempty"`
}

type commandAnswer struct {
	By    string `json:"by"`
	Data  []byte `json:"data"`
	Error string `json:"error"`
}

// CommandError says that the program was not started, or ended with a status other than 0. It
// matches [store.ErrUnavailable].
type CommandError struct {
	// Path is the program.
	Path string
	// Cause is what the system said of it.
	Cause error
	// Complaint is the first line of its standard error; may be empty.
	Complaint string
}

// Started reports whether there was a program to run, whatever became of it.
func (e *CommandError) Started() bool {
	_, unfound := errors.AsType[*exec.Error](e.Cause)
	_, refused := errors.AsType[*fs.PathError](e.Cause)
	return !unfound && !refused
}

func (e *CommandError) Error() string {
	text := fmt.Sprintf("wrapping command %s cannot be started: %v", e.Path, e.Cause)
	if e.Started() {
		text = fmt.Sprintf("wrapping command %s: %v", e.Path, e.Cause)
	}
	if e.Complaint != "" {
		text += ": " + e.Complaint
	}
	return text
}

// Unwrap makes the error match [store.ErrUnavailable], and its cause.
func (e *CommandError) Unwrap() []error { return []error{store.ErrUnavailable, e.Cause} }

// OpenCommand asks the program which wrapping key is current, and keeps to that one. The error is a
// [*CommandError] if it does not run to its end.
func OpenCommand(ctx context.Context, config CommandConfig) (*Command, error) {
	if config.Path == "" {
		return nil, fmt.Errorf("open wrapping command: there is no program")
	}
	if config.Timeout <= 0 {
		config.Timeout = defaultCommandTimeout
	}
	c := &Command{config: config}
	answer, err := c.ask(ctx, commandRequest{Do: "current"})
	if err == nil && (answer.By == "" || len(answer.By) > maxWrappedBy) {
		err = fmt.Errorf("the name of its current key has %d bytes, want 1 to %d", len(answer.By), maxWrappedBy)
	}
	if err != nil {
		return nil, fmt.Errorf("open wrapping command: %w", err)
	}
	c.current = answer.By
	return c, nil
}

// Current implements [Wrapper].
func (c *Command) Current() string { return c.current }

// Wrap implements [Wrapper].
func (c *Command) Wrap(ctx context.Context, by string, key, bound []byte) ([]byte, error) {
	answer, err := c.ask(ctx, commandRequest{Do: "wrap", By: by, Data: key, Context: bound})
	if err == nil && len(answer.Data) == 0 {
		err = fmt.Errorf("wrapping command: %w: it answered no data", store.ErrUnavailable)
	}
	return answer.Data, err
}

// Unwrap implements [Wrapper].
func (c *Command) Unwrap(ctx context.Context, by string, wrapped, bound []byte) ([]byte, error) {
	answer, err := c.ask(ctx, commandRequest{Do: "unwrap", By: by, Data: wrapped, Context: bound})
	if err == nil && len(answer.Data) != keyBytes {
		err = fmt.Errorf("wrapping command: %w: it answered a key of %d bytes", store.ErrUnavailable, len(answer.Data))
	}
	return answer.Data, err
}

func (c *Command) ask(ctx context.Context, r commandRequest) (commandAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	question, err := json.Marshal(r)
	if err != nil {
		return commandAnswer{}, err
	}
	defer clear(question)
	out, complaint := bounded{most: maxCommandOutput}, bounded{most: maxCommandComplaint}
	cmd := exec.CommandContext(ctx, c.config.Path, c.config.Args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(question), &out, &complaint
	cmd.WaitDelay = commandWait
	err = cmd.Run()
	defer out.clear()
	switch {
	case ctx.Err() != nil:
		return commandAnswer{}, fmt.Errorf("wrapping command: %w: %w", store.ErrUnavailable, context.Cause(ctx))
	case err != nil:
		return commandAnswer{}, &CommandError{Path: c.config.Path, Cause: err, Complaint: complaint.line()}
	case out.over:
		return commandAnswer{}, fmt.Errorf("wrapping command: %w: it answered more than %d bytes", store.ErrUnavailable, maxCommandOutput)
	}
	return readCommandAnswer(out.data)
}

// readCommandAnswer never puts the answer into an error: there may be a key in it.
func readCommandAnswer(data []byte) (a commandAnswer, err error) {
	if err := json.Unmarshal(data, &a); err != nil {
		return commandAnswer{}, fmt.Errorf("wrapping command: %w: its answer is no JSON object of the right form", store.ErrUnavailable)
	}
	switch a.Error {
	case "":
		return a, nil
	case "damaged":
		err = store.ErrDamaged
	case "not found":
		err = store.ErrNotFound
	default:
		err = store.ErrUnavailable
	}
	return commandAnswer{}, fmt.Errorf("wrapping command: %w", err)
}

// bounded takes up to so many bytes, and passes over the rest.
type bounded struct {
	data []byte
	most int
	over bool
}

// Write implements [io.Writer].
func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.most-len(b.data))
	b.data = append(b.data, p[:n]...)
	b.over = b.over || n < len(p)
	return len(p), nil
}

func (b *bounded) clear() { clear(b.data) }

// line is the first line, for an error.
func (b *bounded) line() string {
	first, _, _ := strings.Cut(strings.TrimSpace(string(b.data)), "\n")
	return strings.ToValidUTF8(first, "?")
}
