package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/progress"

	"github.com/annals-go/annals/cmd/node"
)

// bar is drawn on a terminal: how much of the file has been read, the rate of
// commands, and the time that is left. What is written to it appears above.
type bar struct {
	writer  progress.Writer
	tracker *progress.Tracker
	ended   chan struct{} // closed to end the updates
	updated chan struct{} // closed when they have ended
	drawn   chan struct{} // closed when the drawing has ended
}

const redrawEvery = 200 * time.Millisecond

// newBar starts to draw. size is that of the file, 0 if it is not known.
func newBar(terminal io.Writer, size int64, read, sent func() int64) *bar {
	b := &bar{
		writer:  progress.NewWriter(),
		tracker: &progress.Tracker{Total: size, Units: progress.UnitsBytes, AutoStopDisabled: true},
		ended:   make(chan struct{}),
		updated: make(chan struct{}),
		drawn:   make(chan struct{}),
	}
	b.writer.SetOutputWriter(terminal)
	b.writer.SetAutoStop(true)
	b.writer.SetTrackerLength(30)
	b.writer.SetUpdateFrequency(redrawEvery)
	b.writer.Style().Visibility.ETA = size > 0
	b.writer.Style().Visibility.Value = false
	b.writer.AppendTracker(b.tracker)
	go func() {
		defer close(b.drawn)
		b.writer.Render()
	}()
	go b.update(read, sent)
	return b
}

func (b *bar) update(read, sent func() int64) {
	defer close(b.updated)
	ticks := time.NewTicker(redrawEvery)
	defer ticks.Stop()
	for began := time.Now(); ; {
		n := sent()
		rate := float64(n) / max(time.Since(began).Seconds(), redrawEvery.Seconds())
		b.tracker.UpdateMessage(fmt.Sprintf("%9s commands, %6s a second", humanize.Comma(n), humanize.Comma(int64(rate))))
		b.tracker.SetValue(read())
		select {
		case <-ticks.C:
		case <-b.ended:
			return
		}
	}
}

// Write prints a line above the bar.
func (b *bar) Write(line []byte) (int, error) {
	b.writer.Log("%s", strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// stop draws a last time and ends the drawing.
func (b *bar) stop(failed bool) {
	close(b.ended)
	<-b.updated
	if failed {
		b.tracker.MarkAsErrored()
	} else {
		b.tracker.MarkAsDone()
	}
	<-b.drawn
}

// watch draws a bar where a person sees it. It returns where to say something
// meanwhile, and what ends the drawing.
func (i *importer) watch(s *node.Session, file *countingReader, size int64) (talk io.Writer, stop func(failed bool)) {
	if !s.Interactive() {
		return s.Err(), func(bool) {}
	}
	b := newBar(s.Err(), size, file.read.Load, func() int64 { return i.totals(0).Sent })
	return b, b.stop
}
