package node

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Duration is a time.Duration that is written "10m", "36h" or "180d".
type Duration time.Duration

const day = 24 * time.Hour

func (d Duration) String() string {
	v := time.Duration(d)
	if v > 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration does, and days before it.
func (d *Duration) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("%q: want a time such as \"10m\", \"36h\" or \"180d\"", text)
	rest, total := string(text), time.Duration(0)
	if days, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return bad
		}
		total, rest = time.Duration(n)*day, after
	}
	if rest != "" || total == 0 && len(text) == 0 {
		v, err := time.ParseDuration(rest)
		if err != nil || v < 0 || total+v < total {
			return bad
		}
		total += v
	}
	*d = Duration(total)
	return nil
}

// Size is a number of bytes that is written "10GiB".
type Size int64

func (s Size) String() string {
	const units = "KMGTP"
	v, unit := int64(s), ""
	for i := 0; i < len(units) && v >= 1024 && v%1024 == 0; i++ {
		v, unit = v/1024, units[i:i+1]+"iB"
	}
	return strconv.FormatInt(v, 10) + unit
}

// MarshalText writes what UnmarshalText reads.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a number of bytes, with or without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q: want a size such as \"10GiB\"", text)
	}
	*s = Size(n)
	return nil
}
