// From a prepared scan to labels in the scan's own grid, and a comparison with an artifact's test vector.
//
//     segment FOLDER        (what unpack.py wrote)
//
// Steps 6 to 8 of docs/reference/recipe.md: tiles, network, and the way back. Exit status 0 if every voxel has the
// label of the test vector, 1 if one has not, 2 for a mistake.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <limits>
#include <map>
#include <numeric>
#include <openvino/openvino.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Shape = std::vector<int64_t>;
using Floats = std::vector<float>;

static int64_t product(const Shape& shape) {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}

// Counts through all indices of a shape, last axis fastest; false after the last.
static bool next(Shape& index, const Shape& shape) {
    for (size_t axis = shape.size(); axis-- > 0;) {
        if (++index[axis] < shape[axis]) return true;
        index[axis] = 0;
    }
    return false;
}

static int64_t offset(const Shape& index, const Shape& shape) {
    int64_t at = 0;
    for (size_t axis = 0; axis < shape.size(); ++axis) at = at * shape[axis] + index[axis];
    return at;
}

class Facts {
public:
    explicit Facts(const std::string& path) {
        std::ifstream file(path);
        if (!file) throw std::runtime_error(path + ": cannot be read; expected a folder that unpack.py wrote");
        for (std::string line; std::getline(file, line);) {
            const auto space = line.find(' ');
            lines[line.substr(0, space)] = line.substr(space + 1);
        }
    }
    const std::string& text(const std::string& name) const {
        const auto line = lines.find(name);
        if (line == lines.end()) throw std::runtime_error("facts.txt: has no line for " + name);
        return line->second;
    }
    template <typename T>
    std::vector<T> list(const std::string& name) const {
        std::istringstream words(text(name));
        std::vector<T> values;
        for (T value; words >> value;) values.push_back(value);
        return values;
    }

private:
    std::map<std::string, std::string> lines;
};

template <typename T>
std::vector<T> read(const std::string& path, int64_t count) {
    std::vector<T> values(count);
    std::ifstream file(path, std::ios::binary);
    if (!file.read(reinterpret_cast<char*>(values.data()), count * sizeof(T)))
        throw std::runtime_error(path + ": holds fewer numbers than facts.txt says");
    return values;
}

// How a tensor of the model file stores real numbers: q = round(x / scale) + zero point.
struct Kind {
    std::string dtype;
    float scale = 0;
    int zero_point = 0;

    Kind(const Facts& facts, const std::string& name) {
        std::istringstream words(facts.text(name));
        double exact = 0;
        words >> dtype >> exact >> zero_point;
        scale = static_cast<float>(exact);
        inverse = exact ? static_cast<float>(1 / exact) : 0;
    }
    template <typename T>
    T stored(float value) const {
        const float q = std::nearbyint(value * inverse) + zero_point;  // halves to even
        return static_cast<T>(std::clamp<float>(q, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    }

private:
    float inverse = 0;
};

// The network on one patch. Whatever form the file has (folded, height, channels, or a batch axis of 1), its tensors
// hold the values in the order of (*patch, channels).
class Network {
public:
    explicit Network(const Facts& facts) : in(facts, "input_kind"), out(facts, "output_kind") {
        ov::Core core;
        // Never inherited from the processor: some compute in bfloat16 unless told otherwise.
        compiled = core.compile_model(facts.text("model"), "CPU", ov::hint::inference_precision(ov::element::f32));
        request = compiled.create_infer_request();
        for (auto n : facts.list<size_t>("input_shape")) shape.push_back(n);
    }
    Floats run(const Floats& patch) {
        ov::Tensor input(compiled.input().get_element_type(), shape);
        if (input.get_size() != patch.size()) throw std::runtime_error("the model's input is not the manifest's");
        if (in.dtype == "float32") std::copy(patch.begin(), patch.end(), input.data<float>());
        else if (in.dtype == "int8") fill<int8_t>(input, patch);
        else if (in.dtype == "uint8") fill<uint8_t>(input, patch);
        else throw std::runtime_error("input of type " + in.dtype + ": expected float32, int8 or uint8");
        request.set_input_tensor(input);
        request.infer();
        const ov::Tensor output = request.get_output_tensor();
        if (out.dtype == "float32") return Floats(output.data<float>(), output.data<float>() + output.get_size());
        if (out.dtype == "int8") return real<int8_t>(output);
        if (out.dtype == "uint8") return real<uint8_t>(output);
        throw std::runtime_error("output of type " + out.dtype + ": expected float32, int8 or uint8");
    }

private:
    template <typename T>
    void fill(ov::Tensor& tensor, const Floats& values) const {
        std::transform(values.begin(), values.end(), tensor.data<T>(), [&](float x) { return in.stored<T>(x); });
    }
    template <typename T>
    Floats real(const ov::Tensor& tensor) const {
        Floats values(tensor.get_size());
        const T* from = tensor.data<T>();
        for (size_t i = 0; i < values.size(); ++i) values[i] = (from[i] - out.zero_point) * out.scale;
        return values;
    }
    Kind in, out;
    ov::CompiledModel compiled;
    ov::InferRequest request;
    ov::Shape shape;
};

// Where the tiles begin along an axis.
static std::vector<int64_t> starts(int64_t size, int64_t patch, double overlap) {
    const int64_t step = std::max<int64_t>(1, static_cast<int64_t>(std::floor(patch * (1 - overlap))));
    const int64_t count = (size - patch + step - 1) / step + 1;
    std::vector<int64_t> begin;
    for (int64_t t = 0; t < count; ++t)
        begin.push_back(std::llrint(double(t * (size - patch)) / std::max<int64_t>(1, count - 1)));
    return begin;
}

// The weight of every tile at every place along an axis: a Gaussian, divided by the sum over the tiles.
static std::vector<std::vector<double>> shares(int64_t size, int64_t patch, const std::vector<int64_t>& begin) {
    std::vector<double> sum(size, 0.0), weight(patch);
    for (int64_t q = 0; q < patch; ++q) {
        const double distance = (q - (patch - 1) / 2.0) / (patch / 8.0);
        weight[q] = std::exp(-0.5 * distance * distance);
    }
    for (auto b : begin)
        for (int64_t q = 0; q < patch; ++q) sum[b + q] += weight[q];
    std::vector<std::vector<double>> result;
    for (auto b : begin) {
        result.emplace_back(patch);
        for (int64_t q = 0; q < patch; ++q) result.back()[q] = weight[q] / sum[b + q];
    }
    return result;
}

// Step 6 and 7: logits (*shape, classes) of a prepared scan (*shape, channels).
static Floats logits(const Floats& prepared, const Shape& shape, const Facts& facts, int64_t classes) {
    const auto patch = facts.list<int64_t>("patch");
    const int64_t channels = facts.list<int64_t>("channels")[0];
    const double overlap = facts.list<double>("overlap")[0];
    const size_t rank = shape.size();
    Shape before(rank), full(rank), tiles(rank);
    std::vector<std::vector<int64_t>> begin(rank);
    std::vector<std::vector<std::vector<double>>> share(rank);
    for (size_t a = 0; a < rank; ++a) {
        before[a] = std::max<int64_t>(0, patch[a] - shape[a]) / 2;
        full[a] = std::max(shape[a], patch[a]);
        begin[a] = starts(full[a], patch[a], overlap);
        share[a] = shares(full[a], patch[a], begin[a]);
        tiles[a] = static_cast<int64_t>(begin[a].size());
    }
    const bool alone = product(tiles) == 1;
    Network network(facts);
    Floats result(product(shape) * classes, 0.0f), input(product(patch) * channels);
    Shape tile(rank, 0);
    do {
        Shape index(rank, 0), place(rank);
        // Whether a voxel of the patch lies in the scan, and where; what was added is zero, and is cut off again.
        const auto inside = [&] {
            for (size_t a = 0; a < rank; ++a) {
                place[a] = begin[a][tile[a]] + index[a] - before[a];
                if (place[a] < 0 || place[a] >= shape[a]) return false;
            }
            return true;
        };
        do {
            const bool there = inside();
            for (int64_t c = 0; c < channels; ++c)
                input[offset(index, patch) * channels + c] =
                    there ? prepared[offset(place, shape) * channels + c] : 0.0f;
        } while (next(index, patch));
        const Floats scores = network.run(input);
        if (static_cast<int64_t>(scores.size()) != product(patch) * classes)
            throw std::runtime_error("the model's output is not the manifest's");
        do {
            if (!inside()) continue;
            double weight = 1;
            for (size_t a = 0; a < rank && !alone; ++a) weight *= share[a][tile[a]][index[a]];
            for (int64_t k = 0; k < classes; ++k)
                result[offset(place, shape) * classes + k] +=
                    static_cast<float>(weight) * scores[offset(index, patch) * classes + k];
        } while (next(index, patch));
    } while (next(tile, tiles));
    return result;
}

// Step 8: the label of every voxel of the scan. The axes of both grids are parallel, so each row of the matrix has one
// entry. Where all of them are whole numbers the interpolation is a copy.
static std::vector<int32_t> restore(const Floats& scores, const Shape& shape, const Shape& source, const Facts& facts) {
    const auto values = facts.list<int32_t>("values");
    const auto matrix = facts.list<double>("to_prepared");
    const size_t rank = shape.size(), classes = values.size();
    std::vector<int32_t> labels(product(source), values[0]);
    Shape index(source.size(), 0);
    std::vector<double> mixed(classes);
    do {
        Shape low(rank), high(rank);
        std::vector<double> part(rank);
        bool inside = true;
        for (size_t a = 0; a < rank && inside; ++a) {
            double at = matrix[a * (rank + 1) + rank];
            for (size_t b = 0; b < rank; ++b) at += matrix[a * (rank + 1) + b] * index[b];
            inside = at >= -0.501 && at <= shape[a] - 1 + 0.501;
            at = std::clamp<double>(at, 0, shape[a] - 1);
            low[a] = std::min<int64_t>(static_cast<int64_t>(at + 1e-6), shape[a] - 1);
            high[a] = std::min<int64_t>(low[a] + 1, shape[a] - 1);
            part[a] = std::max(0.0, at - low[a]);
        }
        if (!inside) continue;
        std::fill(mixed.begin(), mixed.end(), 0.0);
        for (size_t corner = 0; corner < (size_t{1} << rank); ++corner) {
            Shape place(rank);
            double weight = 1;
            for (size_t a = 0; a < rank; ++a) {
                const bool upper = corner >> a & 1;
                place[a] = upper ? high[a] : low[a];
                weight *= upper ? part[a] : 1 - part[a];
            }
            for (size_t k = 0; k < classes && weight; ++k) mixed[k] += weight * scores[offset(place, shape) * classes + k];
        }
        // Of equal logits the smaller index; sums in another order differ by rounding.
        size_t best = 0;
        for (size_t k = 1; k < classes; ++k)
            if (mixed[k] > mixed[best] + 1e-6 * std::abs(mixed[best])) best = k;
        labels[offset(index, source)] = values[best];
    } while (next(index, source));
    return labels;
}

static int compare(const std::string& folder) {
    const Facts facts(folder + "/facts.txt");
    const auto shape = facts.list<int64_t>("prepared"), source = facts.list<int64_t>("labels");
    const auto kept = facts.list<int64_t>("logits");
    const int64_t classes = static_cast<int64_t>(facts.list<int32_t>("values").size());
    const int64_t channels = facts.list<int64_t>("channels")[0], step = facts.list<int64_t>("logits_step")[0];
    const auto scores = logits(read<float>(folder + "/prepared.raw", product(shape) * channels), shape, facts, classes);

    const auto expected = read<float>(folder + "/logits.raw", product(kept) * classes);
    float largest = 0;
    Shape index(kept.size(), 0);
    do {
        Shape place = index;
        for (auto& n : place) n *= step;
        for (int64_t k = 0; k < classes; ++k)
            largest = std::max(largest, std::abs(expected[offset(index, kept) * classes + k] -
                                                 scores[offset(place, shape) * classes + k]));
    } while (next(index, kept));

    const auto labels = restore(scores, shape, source, facts);
    const auto truth = read<int32_t>(folder + "/labels.raw", product(source));
    const int32_t background = facts.list<int32_t>("values")[0];
    int64_t differ = 0, structures = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
        differ += labels[i] != truth[i];
        structures += truth[i] != background;
    }
    std::cout << "voxels " << labels.size() << "\nstructures " << structures << "\ndiffer " << differ
              << "\nlargest difference of a logit " << largest << "\n";
    return differ ? 1 : 0;
}

int main(int count, char** words) {
    if (count != 2) {
        std::cerr << "usage: segment FOLDER\n";
        return 2;
    }
    try {
        return compare(words[1]);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << "\n";
        return 2;
    }
}
