package console

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/itchyny/gojq"
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
