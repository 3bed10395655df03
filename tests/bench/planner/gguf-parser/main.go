// Times gguf-parser-go on one header: reading it, and estimating a run with everything on one GPU. Prints one JSON line.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	parser "github.com/gpustack/gguf-parser-go"
)

const mib = 1 << 20

type answer struct {
	ParseMs    float64 `json:"parseMs"`
	EstimateMs float64 `json:"estimateMs"`
	WeightsMiB float64 `json:"weightsMiB"`
	CacheMiB   float64 `json:"cacheMiB"`
	ComputeMiB float64 `json:"computeMiB"`
}

func median(samples []float64) float64 {
	slices.Sort(samples)
	return samples[len(samples)/2]
}

func elapsed(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: gguf-parser FILE CONTEXT UBATCH RUNS")
		os.Exit(3)
	}
	numbers := make([]int, 3)
	for index, text := range os.Args[2:] {
		number, err := strconv.Atoi(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		numbers[index] = number
	}
	var parses, estimates []float64
	var result answer
	for range numbers[2] {
		start := time.Now()
		file, err := parser.ParseGGUFFile(os.Args[1], parser.SkipLargeMetadata(), parser.UseMMap())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		parses = append(parses, elapsed(start))
		start = time.Now()
		estimate := file.EstimateLLaMACppRun(
			parser.WithLLaMACppContextSize(int32(numbers[0])),
			parser.WithLLaMACppPhysicalBatchSize(int32(numbers[1])),
			parser.WithLLaMACppCacheKeyType(parser.GGMLTypeQ8_0),
			parser.WithLLaMACppCacheValueType(parser.GGMLTypeQ8_0),
			parser.WithFlashAttention(),
			parser.WithParallelSize(1),
		)
		estimates = append(estimates, elapsed(start))
		gpu := estimate.Devices[1]
		result.WeightsMiB = float64(gpu.Weight.Sum()) / mib
		result.CacheMiB = float64(gpu.KVCache.Sum()) / mib
		result.ComputeMiB = float64(gpu.Computation.Sum()) / mib
	}
	result.ParseMs, result.EstimateMs = median(parses), median(estimates)
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}
