// Classifies images with Java's own HttpClient.
//
//   java Predict.java http://127.0.0.1:8000 seven.png photo.jpg
//
// Needs a JDK, 17 or newer, and no library; it prints the service's JSON, one document a line.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;

class Predict {
    static final int ATTEMPTS = 5;

    // One client for all requests: it keeps connections open and reuses them.
    static final HttpClient CLIENT =
        HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 2) {
            System.err.println("usage: java Predict.java URL IMAGE...");
            System.exit(2);
        }
        URI uri = URI.create(arguments[0] + "/v1/predict");
        for (String path : Arrays.asList(arguments).subList(1, arguments.length)) {
            HttpResponse<String> response = predict(uri, Path.of(path));
            System.out.println(response.body());
            if (response.statusCode() != 200) {
                System.exit(1);
            }
        }
    }

    /** Repeats a request as long as the service asks for it, by Retry-After in seconds. */
    static HttpResponse<String> predict(URI uri, Path image) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(uri)
            .header("Content-Type", "application/octet-stream")
            .timeout(Duration.ofSeconds(10))
            .POST(BodyPublishers.ofFile(image))
            .build();
        for (int attempt = 1; ; attempt++) {
            HttpResponse<String> response = CLIENT.send(request, BodyHandlers.ofString());
            var wait = response.headers().firstValueAsLong("Retry-After");
            if (wait.isEmpty() || attempt == ATTEMPTS) {
                return response;
            }
            Thread.sleep(Duration.ofSeconds(wait.getAsLong()).toMillis());
        }
    }
}
