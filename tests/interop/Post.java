import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;

/** Posts a picture again and again: java Post.java URL FILE TIMES HTTP_2|HTTP_1_1 */
class Post {
    public static void main(String[] words) throws Exception {
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.valueOf(words[3])).build();
        HttpRequest request = HttpRequest.newBuilder(URI.create(words[0]))
            .header("Content-Type", "image/png")
            .POST(BodyPublishers.ofFile(Path.of(words[1])))
            .build();
        for (int left = Integer.parseInt(words[2]); left > 0; left--) {
            HttpResponse<String> response = client.send(request, BodyHandlers.ofString());
            System.out.println(response.statusCode() + " " + response.body());
        }
    }
}
