package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// hit is a mark that was found.
type hit struct {
	mark *mark
	form string
	file string
	at   int64
	// zipped: inside compressed data that begin there.
	zipped bool
}

func (h hit) String() string {
	where := fmt.Sprintf("%s at %d", h.file, h.at)
	if h.zipped {
		where += ", compressed"
	}
	return fmt.Sprintf("%s: %s of subject %d (%s, as %s)", where, h.mark.class, h.mark.subject, h.mark.field, h.form)
}

// search is one look through files.
type search struct {
	*finder
	report func(hit)
	Files  int
	Bytes  int64
	Frames int // of compressed data
}

const (
	window = 4 << 20
	// mostFrame bounds what one compressed frame is expanded to.
	mostFrame = 256 << 20
)

// zstdMagic is what a compressed frame begins with, in a file of any kind.
var zstdMagic = []byte{0x28, 0xB5, 0x2F, 0xFD}

// tree looks through all files below a directory. One that goes while it is looked for
// is none: what was in it is gone.
func (s *search) tree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			err = s.file(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// file looks through a file, and through what is compressed in it.
func (s *search) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	s.Files++
	var frames []int64
	err = s.windows(f, func(data []byte, base int64, fresh int) {
		s.Bytes += int64(len(data) - fresh)
		s.find(data, func(m *mark, form string, at int) {
			if at+longestOf(m, form) > fresh { // else it was found in the window before
				s.report(hit{mark: m, form: form, file: path, at: base + int64(at)})
			}
		})
		for at := 0; ; at++ {
			next := bytes.Index(data[at:], zstdMagic)
			if next < 0 {
				return
			}
			if at += next; at+len(zstdMagic) > fresh {
				frames = append(frames, base+int64(at))
			}
		}
	})
	for _, at := range frames {
		if err == nil {
			err = s.frame(f, path, at)
		}
	}
	return err
}

func longestOf(m *mark, name string) int {
	for _, f := range m.forms {
		if f.name == name {
			return len(f.bytes)
		}
	}
	return 0
}

// windows calls do with all of a stream in pieces that overlap by the longest form.
// fresh is where the bytes begin that no piece before has had.
func (s *search) windows(r io.Reader, do func(data []byte, base int64, fresh int)) error {
	buffer := make([]byte, window+s.longest)
	kept, base := 0, int64(0)
	for {
		n, err := io.ReadFull(r, buffer[kept:])
		if n > 0 {
			do(buffer[:kept+n], base, kept)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		keep := min(kept+n, s.longest)
		copy(buffer, buffer[kept+n-keep:kept+n])
		base += int64(kept + n - keep)
		kept = keep
	}
}

// frame looks through what begins at a place, if it is a compressed frame: the bytes
// that one begins with may also be there by chance.
func (s *search) frame(f *os.File, path string, at int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	z, err := zstd.NewReader(io.NewSectionReader(f, at, info.Size()-at), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostFrame))
	if err != nil {
		return err
	}
	defer z.Close()
	s.Frames++
	read := &io.LimitedReader{R: z, N: mostFrame}
	// An error is the end of it: the next frame, or what is no frame, is not of this one.
	_ = s.windows(read, func(data []byte, _ int64, fresh int) {
		s.find(data, func(m *mark, form string, in int) {
			if in+longestOf(m, form) > fresh {
				s.report(hit{mark: m, form: form, file: path, at: at, zipped: true})
			}
		})
	})
	return nil
}
