package node_test

import (
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/cairn-network/cairn/blocks"
)

// BenchmarkTransfer is a get from one whole peer by another, both of them in this process, over
// real sockets and disks. CAIRN_PROFILE is where a profile of the last get goes, of giver and getter
// together:
//
//	CAIRN_PROFILE=/tmp/cpu.out go test ./node -run '^$' -bench Transfer -benchtime 3x
//	go tool pprof -top /tmp/cpu.out
func BenchmarkTransfer(b *testing.B) {
	const n = 512 << 20
	giver := real(b)
	getter := real(b, giver.Status().Addrs...)
	until(b, "two peers that know each other", func() bool { return getter.State() == "ready" && len(getter.Peers()) == 1 })
	var seed byte
	b.SetBytes(n)
	for b.Loop() {
		b.StopTimer()
		seed++
		rc, err := giver.Put(b.Context(), io.LimitReader(rand.NewChaCha8([32]byte{seed}), n), blocks.PutOptions{Wait: blocks.WaitLocal, NoPlace: true}, nil)
		if err != nil {
			b.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		stop := profiled(b)
		b.StartTimer()
		t0 := time.Now()
		f, err := getter.Get(b.Context(), rc.Root.String())
		if err != nil {
			b.Fatal(err)
		}
		got, err := io.Copy(io.Discard, f)
		if err != nil || got != n {
			b.Fatal(got, err)
		}
		_ = f.Close()
		b.StopTimer()
		stop()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "allocated/B")
		b.ReportMetric(float64(after.NumGC-before.NumGC)/time.Since(t0).Seconds(), "GC/s")
		b.StartTimer()
	}
}

// profiled begins a profile, and gives what ends it.
func profiled(b *testing.B) (stop func()) {
	file := os.Getenv("CAIRN_PROFILE")
	if file == "" {
		return func() {}
	}
	f, err := os.Create(file)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
