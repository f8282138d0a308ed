package console

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
// there is one. It is for commands that found [Console.JSON] to be true.
func (c *Console) Print(v any) error {
	data, err := Marshal(v)
	if err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	if c.filter != nil {
		return c.printFiltered(data)
	}
	_, err = c.Out().Write(append(data, '\n'))
	return err
}

// Marshal is json.Marshal without the escapes for HTML, and compact also where
// v holds raw JSON.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// compileFilter returns the code of a jq expression, nil for none.
func compileFilter(expr string) (*gojq.Code, error) {
	if expr == "" {
		return nil, nil
	}
	query, err := gojq.Parse(expr)
	if err != nil {
		return nil, &Failure{Code: CodeUsage, Exit: ExitUsage, What: fmt.Sprintf("--jq %q is not a jq expression", expr), Why: err.Error(), Err: err}
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, &Failure{Code: CodeUsage, Exit: ExitUsage, What: fmt.Sprintf("--jq %q cannot be used", expr), Why: err.Error(), Err: err}
	}
	return code, nil
}

func (c *Console) printFiltered(data []byte) error {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // keeps positions exact, which a float64 does not
	if err := decoder.Decode(&v); err != nil {
		return fmt.Errorf("decode output: %w", err)
	}
	results := c.filter.Run(v)
	for {
		result, ok := results.Next()
		if !ok {
			return nil
		}
		if err, failed := result.(error); failed {
			return &Failure{Code: CodeUsage, Exit: ExitUsage, What: fmt.Sprintf("--jq %q does not fit the data", c.flags.jq), Why: err.Error(), Err: err}
		}
		line, err := gojq.Marshal(result)
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		if _, err := c.Out().Write(append(line, '\n')); err != nil {
			return err
		}
	}
}

// Grid is a table for people: framed on a terminal, plain columns otherwise.
type Grid struct {
	w     io.Writer
	table table.Writer
	count int
}

// Grid returns a table without rows, for Out.
func (c *Console) Grid(columns ...string) *Grid {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	if !IsTerminal(c.Out()) {
		t.SetStyle(plainColumns)
	}
	header := make(table.Row, len(columns))
	for i, c := range columns {
		header[i] = c
	}
	t.AppendHeader(header)
	return &Grid{w: c.Out(), table: t}
}

// plainColumns is the style of a table that a program may read.
var plainColumns = func() table.Style {
	y := table.StyleDefault
	y.Box = table.BoxStyle{PaddingRight: "  "}
	y.Options = table.OptionsNoBordersAndSeparators
	return y
}()

// Add appends a row. Cells are made safe to print, but for [Painted] ones.
func (g *Grid) Add(cells ...any) {
	row := make(table.Row, len(cells))
	for i, c := range cells {
		if painted, ok := c.(Painted); ok {
			row[i] = string(painted)
		} else {
			row[i] = Printable(fmt.Sprint(c))
		}
	}
	g.table.AppendRow(row)
	g.count++
}

// Painted is a cell that is safe to print as it is: it may hold colours and
// several lines.
type Painted string

// Empty reports whether the table has no rows.
func (g *Grid) Empty() bool { return g.count == 0 }

// Render prints the table, or empty, a line that says what to do, if it has no
// rows.
func (g *Grid) Render(empty string) error {
	text := g.table.Render()
	if g.Empty() {
		text = empty
	}
	_, err := fmt.Fprintln(g.w, text)
	return err
}

// Indented is JSON over several lines, safe to print.
func Indented(data json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return Printable(string(data))
	}
	return printableLines(b.String())
}

// Shortened is JSON on one line, safe to print, cut on a terminal to what the other
// columns, which take so many characters, leave of the width.
func (c *Console) Shortened(data json.RawMessage, others int) string {
	text := Printable(string(data))
	width := c.columns()
	if width == 0 {
		return text
	}
	most := max(width-others, 20)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// Wrapped is a cell of words, on a terminal over as many lines as they need.
func (c *Console) Wrapped(words ...string) Painted {
	text := Printable(strings.Join(words, " "))
	if most := c.columns() / 3; most > 0 {
		text = wrap(text, most)
	}
	return Painted(text)
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
