package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/itchyny/gojq"
	"github.com/jedib0t/go-pretty/v6/table"
)

// Print writes v to Out as JSON on one line, through the filter of --jq if
// there is one. It is for commands that found [Session.JSON] to be true.
func (s *Session) Print(v any) error {
	data, err := marshal(v)
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if s.filter != nil {
		return s.printFiltered(data)
	}
	_, err = s.Out().Write(append(data, '\n'))
	return err
}

// marshal is json.Marshal without the escapes for HTML, and compact also where
// v holds raw JSON.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// filter is a compiled jq expression.
type filter struct{ code *gojq.Code }

func compileFilter(expr string) (*filter, error) {
	if expr == "" {
		return nil, nil
	}
	query, err := gojq.Parse(expr)
	if err != nil {
		return nil, &Failure{Code: codeUsage, Exit: exitUsage, What: fmt.Sprintf("--jq %q is not a jq expression", expr), Why: err.Error(), Err: err}
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, &Failure{Code: codeUsage, Exit: exitUsage, What: fmt.Sprintf("--jq %q cannot be used", expr), Why: err.Error(), Err: err}
	}
	return &filter{code: code}, nil
}

func (s *Session) printFiltered(data []byte) error {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // keeps positions exact, which a float64 does not
	if err := decoder.Decode(&v); err != nil {
		return fmt.Errorf("decode output: %w", err)
	}
	results := s.filter.code.Run(v)
	for {
		result, ok := results.Next()
		if !ok {
			return nil
		}
		if err, failed := result.(error); failed {
			return &Failure{Code: codeUsage, Exit: exitUsage, What: fmt.Sprintf("--jq %q does not fit the data", s.flags.jq), Why: err.Error(), Err: err}
		}
		line, err := gojq.Marshal(result)
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		if _, err := s.Out().Write(append(line, '\n')); err != nil {
			return err
		}
	}
}

// grid is a table for people: framed on a terminal, plain columns otherwise.
type grid struct {
	w     io.Writer
	table table.Writer
	count int
}

func (s *Session) grid(columns ...string) *grid {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	if !isTerminal(s.Out()) {
		t.SetStyle(plainColumns)
	}
	header := make(table.Row, len(columns))
	for i, c := range columns {
		header[i] = c
	}
	t.AppendHeader(header)
	return &grid{w: s.Out(), table: t}
}

// plainColumns is the style of a table that a program may read.
var plainColumns = func() table.Style {
	y := table.StyleDefault
	y.Box = table.BoxStyle{PaddingRight: "  "}
	y.Options = table.OptionsNoBordersAndSeparators
	return y
}()

// add appends a row. Cells are made safe to print, but for painted ones.
func (g *grid) add(cells ...any) {
	row := make(table.Row, len(cells))
	for i, c := range cells {
		if painted, ok := c.(painted); ok {
			row[i] = string(painted)
		} else {
			row[i] = printable(fmt.Sprint(c))
		}
	}
	g.table.AppendRow(row)
	g.count++
}

// painted is a cell that is safe to print as it is: it may hold colours and
// several lines.
type painted string

// render prints the table, or empty, a line that says what to do, if it has no
// rows.
func (g *grid) render(empty string) error {
	text := g.table.Render()
	if g.count == 0 {
		text = empty
	}
	_, err := fmt.Fprintln(g.w, text)
	return err
}

// indented prints JSON over several lines.
func indented(data json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return printable(string(data))
	}
	return printableLines(b.String())
}

// shortened prints JSON on one line, cut on a terminal to what the other
// columns, which take so many characters, leave of the width.
func (s *Session) shortened(data json.RawMessage, others int) string {
	text := printable(string(data))
	width := s.columns()
	if width == 0 {
		return text
	}
	most := max(width-others, 20)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// wrapped prints words, on a terminal over as many lines as they need.
func (s *Session) wrapped(words ...string) painted {
	text := printable(strings.Join(words, " "))
	if most := s.columns() / 3; most > 0 {
		text = wrap(text, most)
	}
	return painted(text)
}

func wrap(text string, width int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return strings.Join(append(lines, line), "\n")
}
