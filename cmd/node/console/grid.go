package console

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Grid is a table for people: framed on a terminal, plain columns otherwise.
type Grid struct {
	w      io.Writer
	table  table.Writer
	count  int
	widths []int // of the widest line of each column
	screen int   // the width of the terminal; 0: there is none
	names  []string
	fits   bool
	words  []string // names of the columns that give way first
}

// Grid returns a table without rows, for Out.
func (c *Console) Grid(columns ...string) *Grid {
	t := table.NewWriter()
	t.SetStyle(table.StyleRounded)
	if !IsTerminal(c.Out()) {
		t.SetStyle(plainColumns)
	}
	g := &Grid{w: c.Out(), table: t, widths: make([]int, len(columns)), screen: c.columns(), names: columns}
	header := make(table.Row, len(columns))
	for i, name := range columns {
		header[i] = name
		g.widths[i] = text.StringWidth(name)
	}
	t.AppendHeader(header)
	return g
}

// Fit returns g, which then keeps within the width of the terminal: what is in its widest columns goes over several
// lines, and a word that is longer than its column is broken. The columns of these names give way first. Cells must
// have no colours.
func (g *Grid) Fit(words ...string) *Grid {
	g.fits, g.words = true, words
	return g
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
		if i < len(g.widths) {
			g.widths[i] = max(g.widths[i], text.LongestLineLen(fmt.Sprint(row[i])))
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
	g.narrow()
	all := g.table.Render()
	if g.Empty() {
		all = empty
	}
	_, err := fmt.Fprintln(g.w, all)
	return err
}

// narrow bounds the columns of a table that is to fit.
func (g *Grid) narrow() {
	if !g.fits || g.screen == 0 {
		return
	}
	frame := 3*len(g.widths) + 1 // a bar and a blank before each cell, a blank behind it, and the last bar
	var columns []table.ColumnConfig
	words := func(i int) bool { return slices.Contains(g.words, g.names[i]) }
	for i, width := range shrunk(g.widths, g.screen-frame, words) {
		columns = append(columns, table.ColumnConfig{Number: i + 1, WidthMax: width, WidthMaxEnforcer: wrap})
	}
	g.table.SetColumnConfigs(columns)
}

// How wide a column is at least: one of words, while others need not give way, and any.
const (
	readable  = 8
	narrowest = 4
)

// shrunk are the widths of columns that take no more than most together, if they can: those of words give way first,
// and the widest of them.
func shrunk(widths []int, most int, words func(i int) bool) []int {
	widths = slices.Clone(widths)
	sum := 0
	for _, w := range widths {
		sum += w
	}
	give := func(least int, may func(i int) bool) {
		for ; sum > most; sum-- {
			widest := -1
			for i, w := range widths {
				if w > least && may(i) && (widest < 0 || w > widths[widest]) {
					widest = i
				}
			}
			if widest < 0 {
				return
			}
			widths[widest]--
		}
	}
	give(readable, words)
	give(narrowest, func(int) bool { return true })
	return widths
}

// Wrapped is a cell of words, on a terminal over as many lines as they need.
func (c *Console) Wrapped(words ...string) Painted {
	all := Printable(strings.Join(words, " "))
	if most := c.columns() / 3; most > 0 {
		all = wrap(all, most)
	}
	return Painted(all)
}

// wrap returns words in lines of a width. A word that is longer is broken.
func wrap(words string, width int) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(words) {
		if line != "" && text.StringWidth(line)+1+text.StringWidth(word) > width {
			lines, line = append(lines, line), ""
		}
		for text.StringWidth(word) > width {
			head := leading(word, width)
			lines, word = append(lines, head), word[len(head):]
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// leading returns as much of a word as a width takes, at least a character.
func leading(word string, width int) string {
	taken := 0
	for i, r := range word {
		if taken += text.RuneWidth(r); taken > width && i > 0 {
			return word[:i]
		}
	}
	return word
}
